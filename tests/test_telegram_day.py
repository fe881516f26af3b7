"""A day on Telegram in a minute: thousands of updates, floods, broken connections, a restart.

The bot is a process of its own; Telegram's hours are shortened twentyfold on both sides. What the
bot adds to an answer is measured by the clock where the machine has time for it, else as the
processor time that it takes: on a busy machine the clock measures the others.
"""

import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fake_telegram import FakeTelegram
from telegram_town import Sent
from telegram_weather import Limits, Storm

SPEED = 20
UPDATES, USERS, GROUPS, PRIVATE_CHATS = 2_000, 200, 20, 150
A_SECOND = 55  # updates
CHAT, GROUP, OVERALL = (1, 1 / SPEED), (20, 60 / SPEED), (30, 1 / SPEED)

BOT = """
import asyncio, sys, zlib
from pathlib import Path
sys.path[:0] = sys.argv[4:]
import time
from bot import telegram
from bot.telegram import limiter
from rag.types import Found
import telegram_house
from telegram_house import FakeTelegram, app_for, answered
from test_telegram_day import CHAT, GROUP, OVERALL

class Answerer(telegram_house.ScriptedAnswerer):
    async def stream(self, question):
        started = time.monotonic()
        await asyncio.sleep(zlib.crc32(question.text.encode()) % 40 / 1000)
        took = time.monotonic() - started
        yield answered(question, f"{question.text} took {took:.4f}")

real = limiter.Limits
limiter.Limits = lambda: real(CHAT, GROUP, OVERALL)
server = FakeTelegram(token=sys.argv[2], port=int(sys.argv[1]))
spans = [f"telegram_{who}_{span}" for who in ("user", "chat") for span in ("minute", "day")]
app = app_for(server, Path(sys.argv[3]), **dict.fromkeys(spans, 0))
app.answerer = Answerer()
telegram.run(app)
"""


@dataclass
class Day:
    """What was asked, in order, and when."""

    server: FakeTelegram
    home: Path
    dice: random.Random = field(default_factory=lambda: random.Random(11))
    asked: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    at: dict[str, float] = field(default_factory=dict)
    memory_mb: list[float] = field(default_factory=list)
    bot: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Starts the bot."""
        here = Path(__file__).parent
        self.bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BOT, str(self.server.port), self.server.token),
            *(str(self.home), str(here), str(here.parent)),
            env={k: v for k, v in os.environ.items() if not k.startswith("WENBAO_")},
        )

    async def close(self) -> int:
        """Asks the bot to stop; its exit status."""
        assert self.bot
        self.bot.terminate()
        return await asyncio.wait_for(self.bot.wait(), 30)

    def happens(self, n: int) -> None:
        """One update: mostly a question, in private or in a group; some chatter, some twice."""
        user = self.dice.randrange(USERS)
        kind = self.dice.random()
        text = f"question {n}?"
        if kind < 0.05:
            self.server.group("nothing for a bot", chat_id=self._group(), user_id=1000 + user)
        elif kind < 0.40:
            chat_id = self._group()
            self.server.group(f"/ask {text}", chat_id=chat_id, user_id=1000 + user)
            self._asked(chat_id, text)
        else:
            chat_id = 1000 + user % PRIVATE_CHATS
            message = self.server.private(text, user_id=chat_id)
            self._asked(chat_id, text)
            if kind > 0.95:
                self.server.again(message)

    def processor_s(self) -> float:
        """How much processor time the bot has taken."""
        assert self.bot
        stat = Path(f"/proc/{self.bot.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        user, system = stat.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def measure(self) -> None:
        """How much memory the bot holds."""
        assert self.bot
        status = Path(f"/proc/{self.bot.pid}/status").read_text(encoding="utf-8")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        self.memory_mb.append(int(resident.split()[1]) / 1024)

    def added_s(self) -> list[float]:
        """What the bot added to each answer, where neither a limit nor an earlier one held it."""
        replies = {sent.text.split(" took ")[0]: sent for sent in self.server.sent}
        busy: dict[int, float] = defaultdict(float)
        added = []
        for question, at in self.at.items():
            sent = replies[question]
            if at > busy[sent.chat_id] and not self._held(sent, at):
                added.append(sent.at - at - float(sent.text.split(" took ")[1]))
            busy[sent.chat_id] = sent.at + GROUP[1]
        return added

    def _held(self, sent: Sent, since: float) -> bool:
        held = self.server.storm.struck.get(sent.chat_id, ())
        return any(since - GROUP[1] < at <= sent.at for at in held)

    def _group(self) -> int:
        return -1000 - self.dice.randrange(GROUPS)

    def _asked(self, chat_id: int, text: str) -> None:
        self.asked[chat_id].append(text)
        self.at[text] = time.monotonic()


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    async with FakeTelegram(limits=Limits(CHAT, GROUP, OVERALL)) as server:
        made = Day(server, tmp_path)
        await made.open()
        yield made
        if made.bot and made.bot.returncode is None:
            await made.close()


@pytest.mark.slow
async def test_a_day_of_two_thousand_updates_is_answered_once_each_in_order(day: Day) -> None:
    server = day.server
    server.private("warm up?", user_id=1)
    await server.replies(1, timeout_s=60)
    server.sent.clear()
    started_s = day.processor_s()
    server.storm = Storm(floods=0.05, drops=0.02, retry_after=0.25)
    begun = time.monotonic()
    for n in range(UPDATES):
        day.happens(n)
        await asyncio.sleep(max(0.0, begun + n / A_SECOND - time.monotonic()))
        if n == UPDATES // 2:
            before = time.monotonic(), day.processor_s(), len(server.sent)
            assert await day.close() == 0
            await day.open()
            await server.until_called("getMe", 2, timeout_s=60)
        if n in (UPDATES * 3 // 4, UPDATES - 1):
            day.measure()
    questions = sum(map(len, day.asked.values()))
    await server.replies(questions, timeout_s=60)
    await asyncio.sleep(0.5)
    seen: dict[int, list[str]] = defaultdict(list)
    for sent in server.sent:
        seen[sent.chat_id].append(sent.text.split(" took ")[0])
    assert seen == day.asked  # each once, in order
    assert server.limits and server.limits.broken == []
    assert server.impatient == 0
    restart, processor_s, answered = before
    day.at = {q: at for q, at in day.at.items() if at < restart - 1}
    added = sorted(day.added_s())
    p50, p95 = added[len(added) // 2], added[int(len(added) * 0.95)]
    each_s = (processor_s - started_s) / answered
    print(
        f"\n{questions} questions in {time.monotonic() - begun:.0f} s, {server.storm.flooded}"
        f" floods, {server.storm.dropped} broken connections; added by the bot over {len(added)}:"
        f" p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms, processor {each_s * 1000:.1f} ms"
        f" each; memory {day.memory_mb} MB; load {os.getloadavg()[0]:.1f}"
    )
    assert day.memory_mb[-1] - day.memory_mb[0] < 10
    assert each_s < 0.025
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert p95 < 0.05
