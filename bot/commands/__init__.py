"""The commands, by subject: what a person types, and what the terminal shows.

Nothing heavy is imported at the top of these rooms: `wenbao --help` reads them all.
"""
