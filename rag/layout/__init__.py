"""From the lines of a page to its articles: what each line is, and which loose text is whose."""
