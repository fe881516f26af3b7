"""What pages come as: files of many formats, read safely into text with its paragraphs."""
