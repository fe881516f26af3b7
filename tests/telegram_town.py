"""The people who write to a bot under test, their chats, and the updates that wait for the bot.

Privacy mode is kept here. Does not cover what the bot does (telegram_methods.py).
"""

import asyncio
import itertools
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from telegram_judge import Json, units

GENERAL_USER = {"id": 501, "is_bot": False, "first_name": "Lin", "language_code": "en"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the bot got accepted; `at` is from `time.monotonic()`."""

    chat_id: int
    message_id: int
    text: str
    entities: tuple[Json, ...]
    markup: str
    reply_to: int | None
    thread_id: int | None
    preview: bool
    at: float
    buttons: tuple[tuple[str, str], ...] = ()  # (text, callback data), all rows
    choices: tuple[str, ...] = ()
    rich: bool = False

    def parts(self, kind: str) -> list[str]:
        """The texts of the entities of one kind."""
        raw = self.text.encode("utf-16-le")
        return [
            raw[2 * each["offset"] : 2 * (each["offset"] + each["length"])].decode("utf-16-le")
            for each in self.entities
            if each["type"] == kind
        ]


@dataclass
class Town:
    """Chats, people and updates; a test calls what stands here without an underscore."""

    token: str = "8123456789:TEST-token-that-must-show-nowhere"
    username: str = "wenbao_bot"
    privacy: bool = True

    def __post_init__(self) -> None:
        """Makes what belongs to this server alone."""
        self.bot_id = int(self.token.split(":")[0])
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._updates: list[Json] = []
        self._history: list[Json] = []
        self._update_ids = itertools.count(700_000_001)
        self._message_ids: dict[int, Iterator[int]] = defaultdict(lambda: itertools.count(11))
        self._chats: dict[int, Json] = {}
        self._messages: dict[tuple[int, int], Json] = {}
        self._topics: set[tuple[int, int]] = set()
        self._files: dict[str, bytes] = {}
        self._queries: set[str] = set()

    def private(self, text: str, user_id: int = 501, language: str = "en", **more: Any) -> Json:
        """A person writes to the bot; the message as the bot gets it."""
        user = GENERAL_USER | {"id": user_id, "language_code": language}
        chat = {"id": user_id, "type": "private", "first_name": user["first_name"]}
        return self._written(chat, user, text, more)

    def group(
        self, text: str, chat_id: int = -1001, user_id: int = 501, topic: int = 0, **more: Any
    ) -> Json:
        """A person writes in a supergroup; `topic` is the thread of a forum."""
        user = GENERAL_USER | {"id": user_id}
        chat: Json = {"id": chat_id, "type": "supergroup", "title": "Readers"}
        if topic:
            chat["is_forum"] = True
            self._topics.add((chat_id, topic))
            more |= {"message_thread_id": topic, "is_topic_message": True}
        return self._written(chat, user, text, more)

    def channel(self, text: str, chat_id: int = -1002) -> Json:
        """A post in a channel where the bot is."""
        chat = {"id": chat_id, "type": "channel", "title": "News"}
        return self._written(chat, None, text, {}, kind="channel_post")

    def edit(self, message: Json, text: str) -> Json:
        """A person edits a message."""
        edited = message | {"text": text, "edit_date": int(time.time())}
        edited["entities"] = _noticed(text)
        self._keep(edited)
        self._push("edited_message", edited)
        return edited

    def file(self, content: bytes, name: str, user_id: int = 501, size: int | None = None) -> Json:
        """A person sends a file in private."""
        file_id = f"file-{len(self._files)}"
        self._files[file_id] = content
        document = {
            "file_id": file_id,
            "file_unique_id": f"unique-{file_id}",
            "file_name": name,
            "file_size": len(content) if size is None else size,
        }
        return self.private("", user_id=user_id, document=document)

    def tap(self, sent: Sent, text: str, user_id: int = 501, language: str = "en") -> None:
        """A person taps the button whose text begins so, under a message as it is now."""
        message = self._messages[sent.chat_id, sent.message_id]
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(b["callback_data"] for row in rows for b in row if b["text"].startswith(text))
        query_id = str(next(self._update_ids))
        self._queries.add(query_id)
        self._push(
            "callback_query",
            {
                "id": query_id,
                "from": GENERAL_USER | {"id": user_id, "language_code": language},
                "message": message,
                "chat_instance": "1",
                "data": data,
            },
        )

    def ask_inline(self, text: str, user_id: int = 501) -> None:
        """A person types the bot's name and a question in some chat."""
        query_id = str(next(self._update_ids))
        self._queries.add(query_id)
        user = GENERAL_USER | {"id": user_id}
        self._push("inline_query", {"id": query_id, "from": user, "query": text, "offset": ""})

    def again(self, message: Json) -> None:
        """Delivers an update a second time, as a redelivery does."""
        update = next(u for u in self._history if message in u.values())
        self._updates.append(update)
        self._tell()

    def message(self, chat_id: int, message_id: int) -> Json:
        """A message by its id, for a test to answer to."""
        return self._messages[chat_id, message_id]

    def forget(self, message: Json) -> None:
        """A person deletes a message."""
        del self._messages[int(message["chat"]["id"]), int(message["message_id"])]

    def _written(
        self, chat: Json, user: Json | None, text: str, more: Json, kind: str = "message"
    ) -> Json:
        self._chats[chat["id"]] = chat
        message = {
            "message_id": next(self._message_ids[chat["id"]]),
            "date": int(time.time()),
            "chat": chat,
            "text": text,
        }
        if user:
            message["from"] = user
        if entities := _noticed(text):
            message["entities"] = entities
        message |= more
        self._keep(message)
        self._push(kind, message)
        return message

    def _keep(self, message: Json) -> None:
        self._messages[int(message["chat"]["id"]), int(message["message_id"])] = message

    def _push(self, kind: str, payload: Json) -> None:
        if self.privacy and not self._is_for_bot(kind, payload):
            return
        update = {"update_id": next(self._update_ids), kind: payload}
        self._updates.append(update)
        self._history = [*self._history[-50:], update]
        self._tell()

    def _is_for_bot(self, kind: str, payload: Json) -> bool:
        """What privacy mode lets through: commands, mentions of the bot, replies to it."""
        if kind not in ("message", "edited_message") or payload["chat"]["type"] == "private":
            return True
        to = payload.get("reply_to_message", {}).get("from", {})
        text = payload.get("text", "")
        for entity in payload.get("entities", ()):
            start = entity["offset"]
            raw = text.encode("utf-16-le")[2 * start : 2 * (start + entity["length"])]
            named = raw.decode("utf-16-le").lower().partition("@")[2]
            if entity["type"] == "bot_command" and named in ("", self.username.lower()):
                return True
            if entity["type"] == "mention" and named == self.username.lower():
                return True
        return bool(to.get("id") == self.bot_id)

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.ensure_future(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _noticed(text: str) -> list[Json]:
    """The commands and mentions that Telegram marks in what a person writes."""
    found = []
    for match in re.finditer(r"(?<!\w)(?:/\w{1,32}(?:@\w{3,32})?|@\w{3,32})(?!\w)", text):
        kind = "mention" if match[0].startswith("@") else "bot_command"
        offset = units(text[: match.start()])
        found.append({"type": kind, "offset": offset, "length": units(match[0])})
    return found
