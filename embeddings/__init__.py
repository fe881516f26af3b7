"""The model: text in, unit vectors out; knows no article."""
