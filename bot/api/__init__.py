"""The HTTP door: JSON and server-sent events for programs, and the chat page for people.

Reads `App`, never changes what an answer says: the body of `/v1/ask` is `render.to_json(answer)`
with the answer's id. Put together in routes.py, run by run.py; bodies are in bot/schemas.py,
errors in bot/problems.py.
"""

from bot.api.routes import create_app
from bot.api.run import serve, serve_many, server

__all__ = ["create_app", "serve", "serve_many", "server"]
