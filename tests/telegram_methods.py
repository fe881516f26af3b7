"""The methods of the Bot API, as strict as Telegram; what the bot got accepted is kept for tests.

Texts and buttons are judged by telegram_judge.py. Does not cover HTTP (fake_telegram.py), media,
payments or channels' own features.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from telegram_judge import Json, Refused, judge, judge_rich, judged_markup
from telegram_town import Sent, Town


@dataclass(frozen=True, slots=True)
class Call:
    """A request that reached the server, accepted or not."""

    method: str
    parameters: Mapping[str, Any]
    at: float


@dataclass
class Methods(Town):
    """What a bot may call, each a coroutine from parameters to a result."""

    sent: list[Sent] = field(default_factory=list)
    edits: list[Sent] = field(default_factory=list)
    drafts: list[Call] = field(default_factory=list)
    toasts: list[str] = field(default_factory=list)  # what taps were answered with
    inline: list[Json] = field(default_factory=list)  # what inline queries were answered with
    commands: dict[str, list[Json]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    webhook: str = ""
    delivered: list[int] = field(default_factory=list)  # HTTP statuses of the webhook
    redeliver_s: float = 0.1
    rich: Literal["unknown", "refused", "taken"] = "unknown"  # what becomes of rich messages

    def __post_init__(self) -> None:
        """Makes what belongs to this server alone."""
        super().__post_init__()
        self._poll = 0
        self._allowed: list[str] = []
        self._secret = ""
        self._courier: asyncio.Task[None] | None = None

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
        message = self._begun(parameters)
        self.sent.append(self._shown(message, parameters))
        self._tell()
        return message

    async def _send_rich_message(self, parameters: Json) -> Json:
        if self.rich == "unknown":
            raise Refused(404, "Not Found: method not found")
        if self.rich == "refused":
            raise Refused(400, "Bad Request: RICH_MESSAGE_FORBIDDEN")
        message = self._begun(parameters)
        content = parameters["rich_message"]
        blocks = judge_rich(content)
        message["rich_message"] = {"blocks": [{"type": "paragraph", "text": b} for b in blocks]}
        sent = self._kept(message, parameters, "\n".join(blocks), (), str(content["html"]))
        self.sent.append(replace(sent, rich=True))
        self._tell()
        return message

    def _begun(self, parameters: Json) -> Json:
        """A new message of the bot's, still without its content."""
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
        return self._kept(message, parameters, parsed.text, parsed.entities, markup)

    def _kept(
        self, message: Json, parameters: Json, text: str, entities: tuple[Json, ...], markup: str
    ) -> Sent:
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
            text=text,
            entities=entities,
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


METHODS = {
    "getme": Methods._get_me,
    "getupdates": Methods._get_updates,
    "deletewebhook": Methods._delete_webhook,
    "setmycommands": Methods._set_my_commands,
    "sendmessage": Methods._send_message,
    "sendrichmessage": Methods._send_rich_message,
    "sendchataction": Methods._send_chat_action,
    "sendmessagedraft": Methods._send_message_draft,
    "editmessagetext": Methods._edit_message_text,
    "editmessagereplymarkup": Methods._edit_message_reply_markup,
    "answercallbackquery": Methods._answer_callback_query,
    "answerinlinequery": Methods._answer_inline_query,
    "getfile": Methods._get_file,
    "setwebhook": Methods._set_webhook,
}
