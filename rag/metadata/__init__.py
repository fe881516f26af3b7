"""What an article says of itself: the people it names with their offices, and where it happens."""
