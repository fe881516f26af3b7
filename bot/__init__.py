"""The doors: all that a person or a process touches."""

__version__ = "0.1.0"
