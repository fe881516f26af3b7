"""What admins may do: index a file that they send, take articles out, ban, let in, count.

Everybody else gets no sign that these commands exist.
"""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from telegram import Document, Message, Update
from telegram.error import TelegramError
from telegram.ext import CommandHandler, MessageHandler, filters

from bot.render import harmless, one_line
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.meant import argument, asker, message_of_person, topic
from bot.telegram.post import patiently
from bot.telegram.words import Words
from rag.errors import ArticleNotFound, UnreadableFile
from rag.ingest import Report, Watcher
from rag.readers import SUFFIXES

FOLDER = "telegram"  # in the home: the files that were sent
STEP_S = 2.0  # between two edits of a progress message
_NAME_CHARS = 80
_REASONS, _REASON_CHARS = 5, 300


@dataclass(frozen=True, slots=True)
class Admin:
    """Handlers of what admins may do."""

    desk: Desk
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)  # one file at a time

    def handlers(self) -> list[Handler]:
        """What to listen for, from admins alone."""
        admins = filters.User(self.desk.app.settings.admins(), allow_empty=True)
        new = filters.UpdateType.MESSAGE & admins
        named = {
            "stats": self.stats,
            "ingest": self.ingest_how,
            "remove": self.remove,
            "ban": self.ban,
            "unban": self.unban,
            "allow": self.allow,
        }
        found = [CommandHandler(name, call, new) for name, call in named.items()]
        sent = new & filters.ChatType.PRIVATE & filters.Document.ALL
        return [*found, MessageHandler(sent, self.ingest)]

    async def stats(self, update: Update, context: Context) -> None:
        """/stats: how much is indexed and how much is asked."""
        if not (message := message_of_person(update)):
            return
        kept = self.desk.kept
        counts = await asyncio.to_thread(self.desk.app.records.counts)
        usage = await kept(self.desk.members.usage)
        votes = await kept(lambda: [each.vote for each in self.desk.app.people.feedback()])
        text = (await self.desk.words(message)).stats.format(
            articles=counts.articles,
            passages=counts.passages,
            files=counts.files,
            asked=usage.asked,
            people=usage.people,
            up=votes.count("up"),
            down=votes.count("down"),
            waiting=usage.waiting - 1,  # this one
            banned=usage.banned,
        )
        await self.desk.say(update, message, text)

    async def ingest_how(self, update: Update, context: Context) -> None:
        """/ingest: how to send a file; in reply to a file, indexes it."""
        message = message_of_person(update)
        if not message:
            return
        if message.reply_to_message and message.reply_to_message.document:
            await self._ingest(update, message, message.reply_to_message.document)
            return
        mb = self.desk.app.settings.telegram_file_mb
        words = await self.desk.words(message)
        await self.desk.say(update, message, words.ingest_how.format(mb=mb))

    async def ingest(self, update: Update, context: Context) -> None:
        """A file: indexes it, telling how far it is."""
        message = message_of_person(update)
        if message and message.document:
            await self._ingest(update, message, message.document)

    async def _ingest(self, update: Update, message: Message, document: Document) -> None:
        words, mb = await self.desk.words(message), self.desk.app.settings.telegram_file_mb
        name = file_name(document.file_name or "")
        if not name.lower().endswith(SUFFIXES):
            types = ", ".join(SUFFIXES)
            await self.desk.say(update, message, words.file_type.format(types=types))
            return
        if (document.file_size or 0) > mb * 1024 * 1024:
            await self.desk.say(update, message, words.file_size.format(mb=mb))
            return
        async with self.reading:
            path = await self._fetched(document, name)
            progress = _Progress(self.desk, message, words)
            report, shown_in = await progress.of(path)
        await self.desk.say(update, message, _told(report, name, words), edit=shown_in)

    async def _fetched(self, document: Document, name: str) -> Path:
        """The file in its place under the home, where it replaces one of the same name."""
        file = await patiently(document.get_file)
        content = await patiently(file.download_as_bytearray)
        if len(content) > self.desk.app.settings.telegram_file_mb * 1024 * 1024:
            raise UnreadableFile(f"{name} is larger than it said.")
        path = self.desk.app.settings.home / FOLDER / name
        await asyncio.to_thread(_write, path, bytes(content))
        return path

    async def remove(self, update: Update, context: Context) -> None:
        """/remove ID...: takes articles out."""
        if not (message := message_of_person(update)):
            return
        words, ids = await self.desk.words(message), argument(message).split()
        if not ids:
            await self.desk.say(update, message, words.ids_missing)
            return
        try:
            count = await asyncio.to_thread(self.desk.app.remove, ids)
        except ArticleNotFound as exc:
            await self.desk.say(update, message, str(exc))
            return
        await self.desk.say(update, message, words.removed.format(count=count))

    async def ban(self, update: Update, context: Context) -> None:
        """/ban ID, or in reply to a message of theirs."""
        await self._mark(update, "ban")

    async def unban(self, update: Update, context: Context) -> None:
        """/unban ID."""
        await self._mark(update, "unban")

    async def allow(self, update: Update, context: Context) -> None:
        """/allow ID: lets a person or a group in, where not everybody may ask."""
        await self._mark(update, "allow")

    async def _mark(self, update: Update, command: str) -> None:
        if not (message := message_of_person(update)):
            return
        words, who = await self.desk.words(message), _person(message)
        if who is None or (command == "ban" and self.desk.is_admin(who)):
            await self.desk.say(update, message, words.ban_how.format(command=f"/{command}"))
            return
        members, kept = self.desk.members, self.desk.kept
        if command == "allow":
            await kept(members.allow, who)
        else:
            await kept(members.ban, who, command == "ban")
        done = {"ban": words.ban_done, "unban": words.unban_done, "allow": words.allow_done}
        await self.desk.say(update, message, done[command].format(id=who))


class _Progress:
    """A message that tells how far an ingest is."""

    def __init__(self, desk: Desk, message: Message, words: Words) -> None:
        self._desk, self._message, self._words = desk, message, words
        self._at = (0, 1)
        self._shown_in = 0

    async def of(self, path: Path) -> tuple[Report, int]:
        """The report of an ingest, and the message that told how far it was (0: none)."""
        watcher = Watcher(step=self._moved)
        work = asyncio.create_task(
            asyncio.to_thread(self._desk.app.ingest, [path], watcher=watcher)
        )
        while not (await asyncio.wait({work}, timeout=STEP_S))[0]:
            with contextlib.suppress(TelegramError):  # the report comes all the same
                await self._show(path.name)
        return work.result(), self._shown_in

    def _moved(self, what: str, done: int, total: int) -> None:
        self._at = (done, total)

    async def _show(self, name: str) -> None:
        done, total = self._at
        text = self._words.ingesting.format(name=name, done=done, total=total)
        bot, chat_id = self._desk.bot, self._message.chat_id
        if self._shown_in:
            await bot.edit_message_text(text, chat_id, self._shown_in)
        else:
            sent = await bot.send_message(chat_id, text, message_thread_id=topic(self._message))
            self._shown_in = sent.message_id


def _told(report: Report, name: str, words: Words) -> str:
    """What became of a file; of an archive, a part may have failed."""
    reasons = [one_line(each["error"])[:_REASON_CHARS] for each in report.failed]
    reason = "; ".join(reasons[:_REASONS]) + " …" * (len(reasons) > _REASONS)
    if reason and not (report.added or report.updated or report.unchanged):
        return words.ingest_failed.format(name=name, reason=reason)
    done = words.ingested.format(
        name=name,
        added=report.added,
        updated=report.updated,
        unchanged=report.unchanged,
        articles=report.articles,
    )
    return f"{done}\n{words.ingest_partly.format(reason=reason)}" if reason else done


def file_name(name: str) -> str:
    """A name for a file that someone sends: one that can't lead out of its folder or hide."""
    base = re.split(r"[/\\]", harmless(name))[-1]
    stem, dot, suffix = re.sub(r"[^\w.\- ()（）《》、，]", "_", base).strip(". ").rpartition(".")
    return f"{stem[:_NAME_CHARS]}{dot}{suffix[:10]}" if stem else f"page.{suffix[:10] or 'txt'}"


def _person(message: Message) -> int | None:
    """Whom a command is about: the number after it, or whose message it replies to."""
    given = argument(message)
    if re.fullmatch(r"-?\d{1,16}", given):  # Telegram's ids have at most 52 bits
        return int(given)
    other = message.reply_to_message
    return asker(other) if other and not given else None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
