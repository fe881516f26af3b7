"""A strict Bot API server for tests: real HTTP on loopback, in the test's own event loop.

    async with FakeTelegram() as telegram:
        ...  # point the bot at telegram.base_url with telegram.token
        telegram.private("hello")
        (reply,) = await telegram.replies(1)

Polling with offsets and one poller only, or a webhook with its secret and redelivery; messages,
edits, drafts, taps on buttons, inline queries, files; privacy mode in groups; flood control and
broken connections, by a schedule; Telegram's own limits, kept as a list of what broke them.
Texts and buttons are judged by telegram_judge.py. Does not cover media, payments or channels'
own features.
"""

import asyncio
import contextlib
import itertools
import json
import random
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import httpx

from telegram_judge import Json, Refused, judge, judged_markup, units

GENERAL_USER = {"id": 501, "is_bot": False, "first_name": "Lin", "language_code": "en"}
MESSAGES = ("sendmessage", "editmessagetext", "editmessagereplymarkup")  # what limits count


# --- the server ----------------------------------------------------------------------------------


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

    def parts(self, kind: str) -> list[str]:
        """The texts of the entities of one kind."""
        raw = self.text.encode("utf-16-le")
        return [
            raw[2 * each["offset"] : 2 * (each["offset"] + each["length"])].decode("utf-16-le")
            for each in self.entities
            if each["type"] == kind
        ]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that reached the server, accepted or not."""

    method: str
    parameters: Mapping[str, Any]
    at: float


@dataclass(slots=True)
class _Flood:
    seconds: int
    times: int
    until: float = 0.0


@dataclass
class Storm:
    """A share of messages that meet flood control, and a share whose connection breaks."""

    floods: float = 0.0
    drops: float = 0.0
    retry_after: float = 1.0
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    flooded: int = 0
    dropped: int = 0
    struck: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _until: dict[int, float] = field(default_factory=dict)

    def strike(self, chat_id: int, now: float) -> bool:
        """Maybe refuses a message; True if it came before a retry_after was over."""
        if now < self._until.get(chat_id, 0.0):
            return True
        fate = self.dice.random()
        if fate < self.floods + self.drops:
            self.struck[chat_id].append(now)
        if fate < self.floods:
            self.flooded += 1
            self._until[chat_id] = now + self.retry_after
            raise Refused(429, "Too Many Requests", retry_after=self.retry_after)
        if fate < self.floods + self.drops:
            self.dropped += 1
            raise ConnectionAbortedError
        return False


@dataclass
class Limits:
    """How many messages in how many seconds Telegram takes; `broken` says what was too much."""

    chat: tuple[int, float] = (1, 1.0)
    group: tuple[int, float] = (20, 60.0)
    overall: tuple[int, float] = (30, 1.0)
    broken: list[str] = field(default_factory=list)
    _seen: dict[object, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def arrived(self, chat_id: int, now: float) -> None:
        """Counts a message."""
        rules = {("chat", chat_id): self.chat, "overall": self.overall}
        if chat_id < 0:
            rules["group", chat_id] = self.group
        for name, (most, seconds) in rules.items():
            seen = self._seen[name]
            while seen and seen[0] <= now - seconds:
                seen.popleft()
            seen.append(now)
            if len(seen) > most:
                self.broken.append(f"{name}: {len(seen)} in {seconds} s")


@dataclass
class FakeTelegram:
    """The server and the people who write to the bot. State outlives `stop` and `start`."""

    token: str = "8123456789:TEST-token-that-must-show-nowhere"
    username: str = "wenbao_bot"
    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    edits: list[Sent] = field(default_factory=list)
    drafts: list[Call] = field(default_factory=list)
    toasts: list[str] = field(default_factory=list)  # what taps were answered with
    inline: list[Json] = field(default_factory=list)  # what inline queries were answered with
    commands: dict[str, list[Json]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    impatient: int = 0  # calls that came before a retry_after was over
    webhook: str = ""
    privacy: bool = True
    storm: Storm = field(default_factory=Storm)
    limits: Limits | None = None
    delivered: list[int] = field(default_factory=list)  # HTTP statuses of the webhook
    redeliver_s: float = 0.1

    def __post_init__(self) -> None:
        """Makes what belongs to this server alone."""
        self.bot_id = int(self.token.split(":")[0])
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._updates: list[Json] = []
        self._history: list[Json] = []
        self._update_ids = itertools.count(700_000_001)
        self._message_ids: dict[int, Iterator[int]] = defaultdict(lambda: itertools.count(11))
        self._chats: dict[int, Json] = {}
        self._messages: dict[tuple[int, int], Json] = {}
        self._topics: set[tuple[int, int]] = set()
        self._poll = 0
        self._allowed: list[str] = []
        self._floods: dict[str, _Flood] = {}
        self._drops: Counter[str] = Counter()
        self._late_drops: Counter[str] = Counter()
        self._files: dict[str, bytes] = {}
        self._secret = ""
        self._courier: asyncio.Task[None] | None = None
        self._queries: set[str] = set()

    @property
    def base_url(self) -> str:
        """What goes into WENBAO_TELEGRAM_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/bot"

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops."""
        await self.stop()

    async def start(self) -> None:
        """Listens, on the same port as before if it did already."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away, cutting every connection."""
        if not self._server:
            return
        self._server.close()
        for writer in list(self._open):
            writer.close()
        if self._courier:
            self._courier.cancel()
            await asyncio.gather(self._courier, return_exceptions=True)
            self._courier = None
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    # --- what a test does

    def flood(self, method: str, seconds: int, times: int = 1) -> None:
        """Answer the next `times` calls with 429, and any that come before it is over."""
        self._floods[method.lower()] = _Flood(seconds, times)

    def drop(self, method: str, times: int = 1) -> None:
        """Close the connection of the next calls before they do anything."""
        self._drops[method.lower()] += times

    def drop_reply(self, method: str, times: int = 1) -> None:
        """Do what the next calls ask for, then close the connection without a word."""
        self._late_drops[method.lower()] += times

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

    def called(self, method: str) -> list[Call]:
        """The requests for one method."""
        return [call for call in self.calls if call.method == method]

    async def replies(
        self, count: int, chat_id: int | None = None, timeout_s: float = 20.0
    ) -> list[Sent]:
        """What the bot sent (to one chat), once there are `count` of them."""

        def found() -> list[Sent]:
            return [sent for sent in self.sent if chat_id in (None, sent.chat_id)]

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()

    async def until_called(self, method: str, count: int = 1, timeout_s: float = 20.0) -> None:
        """Waits for the `count`-th call of a method, which may not be done yet."""
        await self.until(lambda: len(self.called(method)) >= count, timeout_s)

    async def until(self, so: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Waits until something is so that the bot's calls bring about."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(so)

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
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    # --- HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        self._open.add(writer)
        try:
            while request := await _request(reader):
                reply = await self._replied(*request)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test stops the server
        finally:
            self._open.discard(writer)
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _replied(self, path: str, parameters: Json) -> bytes | None:
        """The bytes of the response; None closes the connection instead."""
        try:
            if path.startswith("/file/"):
                return self._file(path)
            result = await self._called(path, parameters)
        except Refused as exc:
            return _response(
                exc.code,
                {
                    "ok": False,
                    "error_code": exc.code,
                    "description": exc.description,
                    **({"parameters": exc.parameters} if exc.parameters else {}),
                },
            )
        except ConnectionAbortedError:
            return None
        return _response(200, {"ok": True, "result": result})

    async def _called(self, path: str, parameters: Json) -> object:
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
        if not match:
            raise Refused(404, "Not Found")
        if unquote(match[1]) != self.token:
            raise Refused(401, "Unauthorized")
        name = match[2].lower()
        method = _METHODS.get(name)
        if not method:
            raise Refused(404, "Not Found: method not found")
        self.calls.append(Call(match[2], dict(parameters), time.monotonic()))
        self._tell()
        if self._drops[name]:
            self._drops[name] -= 1
            raise ConnectionAbortedError
        self._flooded(name)
        values = {key: _value(key, raw) for key, raw in parameters.items()}
        chat_id = (
            int(values.get("chat_id", 0))
            if str(values.get("chat_id", 0)).lstrip("-").isdigit()
            else 0
        )
        if name in MESSAGES:
            now = time.monotonic()
            self.impatient += self.storm.strike(chat_id, now)
            if self.limits:
                self.limits.arrived(chat_id, now)
        result = await method(self, values)
        if self._late_drops[name]:
            self._late_drops[name] -= 1
            raise ConnectionAbortedError
        return result

    def _file(self, path: str) -> bytes:
        token, _, name = path.removeprefix("/file/bot").partition("/")
        content = self._files.get(name.removeprefix("documents/"))
        if unquote(token) != self.token or content is None:
            return _response(404, {"ok": False, "error_code": 404, "description": "Not Found"})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def _flooded(self, name: str) -> None:
        flood = self._floods.get(name)
        now = time.monotonic()
        if not flood:
            return
        if now < flood.until:
            self.impatient += 1
        elif flood.times:
            flood.times -= 1
            flood.until = now + flood.seconds
        else:
            return
        left = max(1, round(flood.until - now))
        raise Refused(429, f"Too Many Requests: retry after {left}", retry_after=left)

    # --- methods

    def _me(self) -> Json:
        return {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": "Wenbao",
            "username": self.username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": True,
        }

    async def _get_me(self, parameters: Json) -> Json:
        return self._me()

    async def _set_webhook(self, parameters: Json) -> bool:
        url = str(parameters.get("url", ""))
        if not re.match(r"https?://[^/]+/", url):
            raise Refused(400, "Bad Request: bad webhook: invalid URL")
        secret = str(parameters.get("secret_token", ""))
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        self.webhook, self._secret = url, secret
        if "allowed_updates" in parameters:
            self._allowed = list(parameters["allowed_updates"])
        self._courier = self._courier or asyncio.create_task(self._deliver())
        return True

    async def _deliver(self) -> None:
        """Brings each update to the webhook until it says 200; then it is confirmed."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret} if self._secret else {}
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                async with self._news:
                    await self._news.wait_for(lambda: self.webhook and self._wanted())
                update = self._wanted()[0]
                try:
                    reply = await client.post(self.webhook, json=update, headers=headers)
                    self.delivered.append(reply.status_code)
                except httpx.HTTPError:
                    self.delivered.append(0)
                if self.delivered[-1] == 200:
                    self._updates.remove(update)
                else:
                    await asyncio.sleep(self.redeliver_s)

    async def _delete_webhook(self, parameters: Json) -> bool:
        self.webhook = ""
        if parameters.get("drop_pending_updates"):
            self._updates.clear()
        return True

    async def _set_my_commands(self, parameters: Json) -> bool:
        commands = parameters.get("commands")
        if not isinstance(commands, list) or len(commands) > 100:
            raise Refused(400, "Bad Request: can't parse BotCommand")
        for each in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", each["command"]):
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= len(each["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        scope = parameters.get("scope") or {"type": "default"}
        if scope["type"] == "chat":
            self._addressed(scope)
        place = "".join(str(scope[key]) for key in ("type", "chat_id") if key in scope)
        name = f"{place} {parameters.get('language_code', '')}".strip()
        self.commands[name] = commands
        self._tell()
        return True

    async def _get_updates(self, parameters: Json) -> list[Json]:
        """Long polling; a second poller ends the first one's call with 409."""
        if self.webhook:
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active")
        self._poll += 1
        mine = self._poll
        self._tell()
        if "allowed_updates" in parameters:
            self._allowed = list(parameters["allowed_updates"])
        self._confirm(int(parameters.get("offset", 0)))
        limit = min(max(int(parameters.get("limit", 100)), 1), 100)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(parameters.get("timeout", 0))), self._news:
                await self._news.wait_for(lambda: self._wanted() or self._poll != mine)
        if self._poll != mine:
            raise Refused(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot "
                "instance is running",
            )
        return self._wanted()[:limit]

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self._updates = self._updates[offset:]
        else:
            self._updates = [each for each in self._updates if each["update_id"] >= offset]

    def _wanted(self) -> list[Json]:
        """What waits, of the kinds that were asked for."""
        return [
            update
            for update in self._updates
            if not self._allowed or any(kind in update for kind in self._allowed)
        ]

    async def _send_chat_action(self, parameters: Json) -> bool:
        self._addressed(parameters)
        if parameters.get("action") not in ("typing", "upload_document"):
            raise Refused(400, "Bad Request: wrong parameter action in request")
        return True

    async def _send_message(self, parameters: Json) -> Json:
        chat = self._addressed(parameters)
        reply_to = self._replied_to(chat["id"], parameters.get("reply_parameters") or {})
        thread = int(parameters["message_thread_id"]) if "message_thread_id" in parameters else None
        message: Json = {
            "message_id": next(self._message_ids[chat["id"]]),
            "from": self._me(),
            "chat": chat,
            "date": int(time.time()),
        }
        if reply_to:
            message["reply_to_message"] = {
                key: value for key, value in reply_to.items() if key != "reply_to_message"
            }
        if thread:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        self.sent.append(self._shown(message, parameters))
        self._tell()
        return message

    async def _edit_message_text(self, parameters: Json) -> Json:
        message = self._own(parameters)
        before = {key: message.get(key) for key in ("text", "entities", "reply_markup")}
        made = self._shown(message, parameters)
        if before == {key: message.get(key) for key in before}:
            raise Refused(400, "Bad Request: message is not modified")
        self.edits.append(made)
        self._tell()
        return message

    async def _edit_message_reply_markup(self, parameters: Json) -> Json:
        message = self._own(parameters)
        markup = judged_markup(parameters["reply_markup"])
        if message.get("reply_markup") == markup:
            raise Refused(400, "Bad Request: message is not modified")
        message["reply_markup"] = markup
        self._keep(message)
        self._tell()
        return message

    def _own(self, parameters: Json) -> Json:
        """A message of the bot's that it may edit."""
        chat = self._addressed(parameters)
        message = self._messages.get((chat["id"], int(parameters["message_id"])))
        if not message:
            raise Refused(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self.bot_id:
            raise Refused(400, "Bad Request: message can't be edited")
        return dict(message)

    def _shown(self, message: Json, parameters: Json) -> Sent:
        """Puts text and buttons into a message and keeps it."""
        markup = str(parameters.get("text", ""))
        parsed = judge(markup, str(parameters.get("parse_mode", "")))
        message["text"], message["entities"] = parsed.text, list(parsed.entities)
        message.pop("reply_markup", None)
        given = parameters.get("reply_markup")
        buttons = judged_markup(given) if given else {}
        if "inline_keyboard" in buttons:
            message["reply_markup"] = buttons
        self._keep(message)
        preview = parameters.get("link_preview_options") or {}
        rows = buttons.get("inline_keyboard", ())
        return Sent(
            chat_id=message["chat"]["id"],
            message_id=message["message_id"],
            text=parsed.text,
            entities=parsed.entities,
            markup=markup,
            reply_to=message.get("reply_to_message", {}).get("message_id"),
            thread_id=message.get("message_thread_id"),
            preview=not preview.get("is_disabled", False),
            at=time.monotonic(),
            buttons=tuple((b["text"], b["callback_data"]) for row in rows for b in row),
            choices=tuple(b["text"] for row in buttons.get("keyboard", ()) for b in row),
        )

    async def _send_message_draft(self, parameters: Json) -> bool:
        chat = self._addressed(parameters)
        if chat["type"] != "private":
            raise Refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
        if not int(parameters.get("draft_id", 0)):
            raise Refused(400, "Bad Request: RANDOM_ID_INVALID")
        judge(str(parameters.get("text", "")), str(parameters.get("parse_mode", "")))
        self.drafts.append(Call("sendMessageDraft", parameters, time.monotonic()))
        return True

    async def _answer_callback_query(self, parameters: Json) -> bool:
        self._asked(parameters, "callback_query_id")
        text = str(parameters.get("text", ""))
        if len(text) > 200:
            raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
        self.toasts.append(text)
        self._tell()
        return True

    async def _answer_inline_query(self, parameters: Json) -> bool:
        self._asked(parameters, "inline_query_id")
        results = parameters.get("results", [])
        if len(results) > 50 or len({each["id"] for each in results}) < len(results):
            raise Refused(400, "Bad Request: RESULT_ID_DUPLICATE")
        for each in results:
            if not 1 <= len(each["id"].encode()) <= 64 or not each.get("title"):
                raise Refused(400, "Bad Request: RESULT_ID_INVALID")
            content = each["input_message_content"]
            judge(content["message_text"], content.get("parse_mode", ""))
            if not content.get("link_preview_options", {}).get("is_disabled"):
                raise Refused(400, "Bad Request: a preview of links was left on")
        self.inline.append(parameters)
        self._tell()
        return True

    def _asked(self, parameters: Json, key: str) -> None:
        if parameters.get(key) not in self._queries:
            raise Refused(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        self._queries.discard(str(parameters[key]))

    async def _get_file(self, parameters: Json) -> Json:
        file_id = str(parameters.get("file_id"))
        if file_id not in self._files:
            raise Refused(400, "Bad Request: invalid file_id")
        return {
            "file_id": file_id,
            "file_unique_id": f"unique-{file_id}",
            "file_path": f"documents/{file_id}",
        }

    def _addressed(self, parameters: Json) -> Json:
        chat_id = int(parameters.get("chat_id", 0))
        chat = self._chats.get(chat_id)
        if not chat:
            raise Refused(400, "Bad Request: chat not found")
        if chat_id in self.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        thread = int(parameters.get("message_thread_id", 0))
        if thread and (chat_id, thread) not in self._topics:
            raise Refused(400, "Bad Request: message thread not found")
        return chat

    def _replied_to(self, chat_id: int, reply: Json) -> Json | None:
        if not reply:
            return None
        found = self._messages.get((chat_id, int(reply["message_id"])))
        if not found and not reply.get("allow_sending_without_reply"):
            raise Refused(400, "Bad Request: message to be replied not found")
        return found

    def forget(self, message: Json) -> None:
        """A person deletes a message."""
        del self._messages[int(message["chat"]["id"]), int(message["message_id"])]


_METHODS = {
    "getme": FakeTelegram._get_me,
    "getupdates": FakeTelegram._get_updates,
    "deletewebhook": FakeTelegram._delete_webhook,
    "setmycommands": FakeTelegram._set_my_commands,
    "sendmessage": FakeTelegram._send_message,
    "sendchataction": FakeTelegram._send_chat_action,
    "sendmessagedraft": FakeTelegram._send_message_draft,
    "editmessagetext": FakeTelegram._edit_message_text,
    "editmessagereplymarkup": FakeTelegram._edit_message_reply_markup,
    "answercallbackquery": FakeTelegram._answer_callback_query,
    "answerinlinequery": FakeTelegram._answer_inline_query,
    "getfile": FakeTelegram._get_file,
    "setwebhook": FakeTelegram._set_webhook,
}


def _noticed(text: str) -> list[Json]:
    """The commands and mentions that Telegram marks in what a person writes."""
    found = []
    for match in re.finditer(r"(?<!\w)(?:/\w{1,32}(?:@\w{3,32})?|@\w{3,32})(?!\w)", text):
        kind = "mention" if match[0].startswith("@") else "bot_command"
        offset = units(text[: match.start()])
        found.append({"type": kind, "offset": offset, "length": units(match[0])})
    return found


async def _request(reader: asyncio.StreamReader) -> tuple[str, Json] | None:
    """One HTTP/1.1 request: its path and its parameters; None when the client is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = first.split(" ")[1].partition("?")
    if headers.get("content-type", "").startswith("application/json"):
        return path, dict(json.loads(body or b"{}"))
    form = parse_qs(body.decode() or query, keep_blank_values=True, strict_parsing=False)
    return path, {name: values[-1] for name, values in form.items()}


_STRUCTURED = {
    *("allowed_updates", "commands", "reply_parameters", "link_preview_options", "scope"),
    *("reply_markup", "results", "button"),
}


def _value(name: str, value: Any) -> Any:
    if name not in _STRUCTURED or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refused(400, f"Bad Request: can't parse {name} JSON object") from None


def _response(status: int, body: Json) -> bytes:
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(content)}\r\n\r\n".encode() + content
