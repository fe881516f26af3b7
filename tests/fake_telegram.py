"""A strict Bot API server for tests: real HTTP on loopback, in the test's own event loop.

    async with FakeTelegram() as telegram:
        ...  # point the bot at telegram.base_url with telegram.token
        telegram.private("hello")
        (reply,) = await telegram.replies(1)

It judges as Telegram does, as far as a text bot can tell, and where Telegram mends in silence
(nested quotations, a hundred entities) it refuses, so that a bot that passes here passes there.
Not covered yet: edits, callbacks, inline queries, files, webhooks, privacy mode, drafts.
"""

import asyncio
import contextlib
import itertools
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self
from urllib.parse import parse_qs, unquote

Json = dict[str, Any]

MAX_UNITS = 4096
MAX_ENTITIES = 100
GENERAL_USER = {"id": 501, "is_bot": False, "first_name": "Lin", "language_code": "en"}


class Refused(Exception):
    """What the Bot API answers with `"ok": false`."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


# --- HTML as Telegram judges it ------------------------------------------------------------------

_KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]+));?")
_TAG = re.compile(r"<(/?)([a-zA-Z0-9-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(r"\s*([^\s=>\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")
_DROPPED = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_BLANKED = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f]")


def cleaned(text: str) -> str:
    """The text as Telegram keeps it: some signs vanish, other controls become spaces."""
    return _BLANKED.sub(" ", _DROPPED.sub("", text))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text without its markup, and the entities, in UTF-16 units."""

    text: str
    entities: tuple[Json, ...] = ()


@dataclass(slots=True)
class _Open:
    name: str
    kind: str
    start: int


def judge(text: str, parse_mode: str = "") -> Parsed:
    """What Telegram makes of the text of a message.

    Raises:
        Refused: 400, in Telegram's words.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, "Bad Request: strings must be encoded in UTF-8") from None
    if parse_mode not in ("", "HTML"):
        raise Refused(400, "Bad Request: unsupported parse_mode")
    parsed = _trimmed(_parsed(text) if parse_mode else Parsed(cleaned(text)))
    if not parsed.text:
        raise Refused(400, "Bad Request: message text is empty")
    if units(parsed.text) > MAX_UNITS:
        raise Refused(400, "Bad Request: message is too long")
    if len(parsed.entities) > MAX_ENTITIES:
        raise Refused(400, "Bad Request: too many entities (Telegram would drop some)")
    return parsed


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def _parsed(markup: str) -> Parsed:
    out: list[str] = []
    length = position = 0
    stack: list[_Open] = []
    entities: list[Json] = []
    while position < len(markup):
        char = markup[position]
        if char == "<":
            position = _tag(markup, position, length, stack, entities)
            continue
        match = _ENTITY.match(markup, position) if char == "&" else None
        piece = _decoded(match) if match else None
        position += len(match[0]) if match and piece is not None else 1
        kept = cleaned(char if piece is None else piece)
        out.append(kept)
        length += units(kept)
    if stack:
        _bad_markup(f'can\'t find end tag corresponding to start tag "{stack[-1].name}"')
    entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return Parsed("".join(out), tuple(entities))


def _decoded(match: re.Match[str]) -> str | None:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED.get(name)
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None


def _tag(markup: str, at: int, length: int, stack: list[_Open], entities: list[Json]) -> int:
    """Reads the tag at `at`; gives the position after it."""
    match = _TAG.match(markup, at)
    offset = len(markup[:at].encode())
    if not match:
        _bad_markup(f"unclosed start tag at byte offset {offset}")
    name = match[2].lower()
    if match[1]:
        _close(name, offset, length, stack, entities)
        return match.end()
    attributes = dict(_attributes(match[3], offset))
    if name not in _KINDS or (name == "span" and attributes.get("class") != "tg-spoiler"):
        _bad_markup(f'unsupported start tag "{name}" at byte offset {offset}')
    kind = _KINDS[name]
    if kind == "blockquote" and "expandable" in attributes:
        kind = "expandable_blockquote"
    around = [each.kind for each in stack]
    if any(each in ("pre", "code") for each in around):
        _bad_markup(f"entities can't be nested in code at byte offset {offset}")
    if "blockquote" in kind and any("blockquote" in each for each in around):
        _bad_markup(f"blockquote entities can't be nested, at byte offset {offset}")
    stack.append(_Open(name, kind, length))
    return match.end()


def _attributes(text: str, offset: int) -> Iterator[tuple[str, str]]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if not match:
            _bad_markup(f"empty attribute name in the tag at byte offset {offset}")
        yield match[1].lower(), (match[2] or "").strip("\"'")
        position = match.end()


def _close(name: str, offset: int, length: int, stack: list[_Open], entities: list[Json]) -> None:
    if not stack:
        _bad_markup(f"unexpected end tag at byte offset {offset}")
    opened = stack.pop()
    if name not in ("", opened.name):
        _bad_markup(
            f'unmatched end tag at byte offset {offset}, expected "</{opened.name}>", '
            f'found "</{name}>"'
        )
    if length > opened.start:
        entities.append(
            {"type": opened.kind, "offset": opened.start, "length": length - opened.start}
        )


def _bad_markup(reason: str) -> NoReturn:
    raise Refused(400, f"Bad Request: can't parse entities: {reason}")


def _trimmed(parsed: Parsed) -> Parsed:
    """Without the whitespace at both ends; entities are moved and clipped."""
    space = " \n\t\xa0"
    text = parsed.text.lstrip(space)
    shift = units(parsed.text) - units(text)
    text = text.rstrip(space)
    entities = []
    for entity in parsed.entities:
        start = max(entity["offset"] - shift, 0)
        end = min(entity["offset"] + entity["length"] - shift, units(text))
        if end > start:
            entities.append({**entity, "offset": start, "length": end - start})
    return Parsed(text, tuple(entities))


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
class FakeTelegram:
    """The server and the people who write to the bot. State outlives `stop` and `start`."""

    token: str = "8123456789:TEST-token-that-must-show-nowhere"
    username: str = "wenbao_bot"
    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    commands: dict[str, list[Json]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    impatient: int = 0  # calls that came before a retry_after was over
    webhook: str = ""

    def __post_init__(self) -> None:
        """Makes what belongs to this server alone."""
        self.bot_id = int(self.token.split(":")[0])
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._updates: list[Json] = []
        self._update_ids = itertools.count(700_000_001)
        self._message_ids: dict[int, Iterator[int]] = defaultdict(lambda: itertools.count(11))
        self._chats: dict[int, Json] = {}
        self._messages: dict[tuple[int, int], Json] = {}
        self._topics: set[tuple[int, int]] = set()
        self._poll = 0
        self._allowed: list[str] = []
        self._floods: dict[str, _Flood] = {}
        self._drops: Counter[str] = Counter()

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
        self._push("edited_message", edited)
        return edited

    def message(self, chat_id: int, message_id: int) -> Json:
        """A message by its id, for a test to answer to."""
        return self._messages[chat_id, message_id]

    def called(self, method: str) -> list[Call]:
        """The requests for one method."""
        return [call for call in self.calls if call.method == method]

    async def replies(
        self, count: int, chat_id: int | None = None, timeout_s: float = 5.0
    ) -> list[Sent]:
        """What the bot sent (to one chat), once there are `count` of them."""

        def found() -> list[Sent]:
            return [sent for sent in self.sent if chat_id in (None, sent.chat_id)]

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()

    async def until_called(self, method: str, count: int = 1, timeout_s: float = 5.0) -> None:
        """Waits for the `count`-th call of a method."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(self.called(method)) >= count)

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
        self._updates.append({"update_id": next(self._update_ids), kind: payload})
        self._tell()

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
        return await method(self, {name: _value(name, raw) for name, raw in parameters.items()})

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
            "supports_inline_queries": False,
        }

    async def _get_me(self, parameters: Json) -> Json:
        return self._me()

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
        self.commands[str(parameters.get("language_code", ""))] = commands
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
        markup = str(parameters.get("text", ""))
        parsed = judge(markup, str(parameters.get("parse_mode", "")))
        reply_to = self._replied_to(chat["id"], parameters.get("reply_parameters") or {})
        thread = int(parameters["message_thread_id"]) if "message_thread_id" in parameters else None
        message: Json = {
            "message_id": next(self._message_ids[chat["id"]]),
            "from": self._me(),
            "chat": chat,
            "date": int(time.time()),
            "text": parsed.text,
        }
        if parsed.entities:
            message["entities"] = list(parsed.entities)
        if reply_to:
            message["reply_to_message"] = {
                key: value for key, value in reply_to.items() if key != "reply_to_message"
            }
        if thread:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        self._keep(message)
        preview = parameters.get("link_preview_options") or {}
        self.sent.append(
            Sent(
                chat_id=chat["id"],
                message_id=message["message_id"],
                text=parsed.text,
                entities=parsed.entities,
                markup=markup,
                reply_to=reply_to["message_id"] if reply_to else None,
                thread_id=thread,
                preview=not preview.get("is_disabled", False),
                at=time.monotonic(),
            )
        )
        self._tell()
        return message

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


_STRUCTURED = {"allowed_updates", "commands", "reply_parameters", "link_preview_options", "scope"}


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
