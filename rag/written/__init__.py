"""A language model's reply, made into lines that each stand on a passage."""
