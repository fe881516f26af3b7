"""Words, names and figures, and how each is said in the other language."""
