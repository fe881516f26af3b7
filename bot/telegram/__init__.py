"""The Telegram door: from a person's message to what Telegram gets, and back."""

from bot.telegram.running import run

__all__ = ["run"]
