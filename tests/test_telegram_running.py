"""Starting the Telegram bot, by polling and by webhook; and the fake server under it all."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import cast

import httpx
import pytest

from bot.telegram import webhook as route
from fake_telegram import FakeTelegram
from rag.errors import BadSettings, StoreUnavailable
from telegram_house import QUESTION, SHARING, FakeApp, app_for, polling, webhook
from telegram_judge import Json

SECRET = "a-secret-of-enough-characters"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


# --- webhook


@pytest.fixture
def url() -> str:
    return f"http://127.0.0.1:{free_port()}/hook"


def hooked(telegram: FakeTelegram, home: Path, url: str, **settings: object) -> FakeApp:
    port = httpx.URL(url).port
    return app_for(telegram, home, port=port, **{"telegram_webhook_secret": SECRET} | settings)


async def test_a_webhook_answers_as_polling_does(
    telegram: FakeTelegram, tmp_path: Path, url: str
) -> None:
    async with webhook(hooked(telegram, tmp_path, url), url):
        telegram.private(QUESTION)
        (reply,) = await telegram.replies(1)
    assert f"[¹] {SHARING}" in reply.text
    assert telegram.delivered == [200]
    assert telegram.called("setWebhook")[0].parameters["url"] == url
    assert not telegram.called("getUpdates")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({route.HEADER: "wrong"}, id="wrong"),
        pytest.param({route.HEADER: SECRET + "x"}, id="longer"),
        pytest.param({route.HEADER: "密".encode()}, id="not-ascii"),
    ],
)
async def test_an_update_without_the_secret_is_refused(
    telegram: FakeTelegram, tmp_path: Path, url: str, headers: dict[str, str | bytes]
) -> None:
    update = {"update_id": 1, "message": telegram.private("x")}
    house = hooked(telegram, tmp_path, url)
    async with webhook(house, url), httpx.AsyncClient() as client:
        await telegram.replies(1)
        reply = await client.post(url, json=update, headers=cast("dict[str, str]", headers))
    assert reply.status_code == 403
    assert house.answerer.asked == ["x"]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{}", b'{"update_id": "x'], ids=repr)
async def test_a_body_that_is_no_update_is_refused(
    telegram: FakeTelegram, tmp_path: Path, url: str, body: bytes
) -> None:
    async with webhook(hooked(telegram, tmp_path, url), url), httpx.AsyncClient() as client:
        reply = await client.post(url, content=body, headers={route.HEADER: SECRET})
    assert reply.status_code == 400


async def test_an_update_that_is_brought_again_is_answered_once(
    telegram: FakeTelegram, tmp_path: Path, url: str
) -> None:
    async with webhook(hooked(telegram, tmp_path, url), url):
        message = telegram.private("once?")
        await telegram.replies(1)
        telegram.again(message)
        telegram.private("next?")
        replies = await telegram.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: once?", "Nothing on: next?"]
    assert telegram.delivered == [200] * 3


async def test_an_update_that_can_t_be_written_down_is_brought_again(
    telegram: FakeTelegram, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with webhook(hooked(telegram, tmp_path, url), url) as door:
        take, full = door.desk.inbox.take, [True, True]

        def unlucky(update_id: int, payload: str) -> bool:
            if full:
                full.pop()
                raise StoreUnavailable("The disk is full.")
            return take(update_id, payload)

        monkeypatch.setattr(door.desk.inbox, "take", unlucky)
        telegram.private("why?")
        await telegram.replies(1)
    assert telegram.delivered == [503, 503, 200]


@pytest.mark.parametrize(
    ("address", "settings", "words"),
    [
        pytest.param("https://x.org/h", {"telegram_webhook_secret": ""}, "SECRET", id="none"),
        pytest.param("https://x.org/h", {"telegram_webhook_secret": "short"}, "16", id="short"),
        pytest.param("ftp://x.org/h", {}, "public address", id="address"),
        pytest.param(
            "http://x.org/h",
            {"telegram_base_url": "https://api.telegram.org/bot"},
            "public address",
            id="no-https",
        ),
    ],
)
async def test_a_webhook_without_its_secret_or_address_does_not_start(
    telegram: FakeTelegram, tmp_path: Path, address: str, settings: dict[str, object], words: str
) -> None:
    house = hooked(telegram, tmp_path, "http://127.0.0.1:1/x", **settings)
    with pytest.raises(BadSettings, match=words):
        async with webhook(house, address):
            pass


async def test_a_port_that_is_taken_is_named(telegram: FakeTelegram, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{telegram.port}/hook"
    with pytest.raises(BadSettings, match="WENBAO_PORT"):
        async with webhook(hooked(telegram, tmp_path, url), url):
            pass


# --- starting


async def test_a_missing_token_says_what_to_do(telegram: FakeTelegram, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"WENBAO_TELEGRAM_TOKEN is not set: .*@BotFather"):
        async with polling(app_for(telegram, tmp_path, telegram_token=" ")):
            pass


RUN = """
import logging, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
logging.basicConfig(level=logging.DEBUG)
from telegram_house import FakeTelegram, app_for
from bot import telegram
from rag.errors import BadSettings
server = FakeTelegram(token=sys.argv[2], port=int(sys.argv[1]))
house = app_for(server, Path(sys.argv[3]))
try:
    telegram.run(house)
except BadSettings as exc:
    print(exc)
    sys.exit(3)
"""


async def _started(telegram: FakeTelegram, token: str, home: Path) -> asyncio.subprocess.Process:
    here = Path(__file__).parent
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, str(telegram.port), token, str(home)),
        *(str(here), str(here.parent)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith("WENBAO_")},
    )


async def test_run_waits_for_telegram_answers_and_stops_on_a_signal(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    await telegram.stop()  # its port stays
    process = await _started(telegram, telegram.token, tmp_path)
    await asyncio.sleep(1.5)
    assert process.returncode is None
    await telegram.start()
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1, timeout_s=30)
    assert f"[¹] {SHARING}" in reply.text
    process.send_signal(signal.SIGTERM)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert telegram.token.encode() not in output


async def test_a_killed_process_loses_nothing(telegram: FakeTelegram, tmp_path: Path) -> None:
    process = await _started(telegram, telegram.token, tmp_path)
    telegram.private("first?")
    await telegram.replies(1, timeout_s=30)
    telegram.flood("sendMessage", seconds=2)  # the next answer has to wait
    telegram.private("second?")
    await telegram.until_called("sendMessage", 2)
    process.kill()
    await process.communicate()
    process = await _started(telegram, telegram.token, tmp_path)
    replies = await telegram.replies(2, timeout_s=30)
    assert [reply.text for reply in replies] == ["Nothing on: first?", "Nothing on: second?"]
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)
    assert len(telegram.sent) == 2


async def test_run_stops_while_telegram_is_still_away(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    await telegram.stop()
    process = await _started(telegram, telegram.token, tmp_path)
    assert process.stdout
    async with asyncio.timeout(30):
        while b"Telegram does not answer" not in await process.stdout.readline():
            pass
    process.terminate()
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, output.decode()


async def test_run_says_when_telegram_refuses_the_token_without_showing_it(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    process = await _started(telegram, "111:some-wrong-token", tmp_path)
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 3
    assert "Telegram refuses WENBAO_TELEGRAM_TOKEN" in output.decode()
    assert b"some-wrong-token" not in output


# --- the telegram, since the rest leans on it
async def _get(telegram: FakeTelegram, method: str, **parameters: object) -> Json:
    async with httpx.AsyncClient() as client:
        url = f"{telegram.base_url}{telegram.token}/{method}"
        return cast("Json", (await client.post(url, json=parameters)).json())


async def test_updates_come_again_until_an_offset_confirms_them(telegram: FakeTelegram) -> None:
    telegram.private("one")
    telegram.private("two")
    first = (await _get(telegram, "getUpdates"))["result"]
    assert (await _get(telegram, "getUpdates"))["result"] == first
    offset = first[0]["update_id"] + 1
    assert (await _get(telegram, "getUpdates", offset=offset))["result"] == first[1:]
    assert (await _get(telegram, "getUpdates", offset=offset + 1))["result"] == []
    assert first[0]["message"]["from"]["is_bot"] is False


async def test_a_second_poller_ends_the_first_with_a_conflict(telegram: FakeTelegram) -> None:
    first = asyncio.create_task(_get(telegram, "getUpdates", timeout=20))
    await telegram.until_called("getUpdates")
    second = asyncio.create_task(_get(telegram, "getUpdates", timeout=20))
    assert (await first)["error_code"] == 409
    telegram.private("hello")
    assert len((await second)["result"]) == 1


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        pytest.param({"chat_id": 5, "text": "x"}, "chat not found", id="nobody"),
        pytest.param({"text": "x" * 4097}, "message is too long", id="too-long"),
        pytest.param({"text": " "}, "message text is empty", id="empty"),
        pytest.param({"text": "<b>", "parse_mode": "HTML"}, "can't parse entities", id="markup"),
        pytest.param({"text": "x", "message_thread_id": 4}, "message thread not found", id="topic"),
        pytest.param(
            {"text": "x", "reply_parameters": {"message_id": 999}},
            "message to be replied not found",
            id="reply",
        ),
    ],
)
async def test_the_server_refuses_what_telegram_refuses(
    telegram: FakeTelegram, parameters: Json, description: str
) -> None:
    telegram.private("hello")
    reply = await _get(telegram, "sendMessage", **{"chat_id": 501, **parameters})
    assert (reply["ok"], reply["error_code"]) == (False, 400)
    assert description in reply["description"]
    assert telegram.sent == []


async def test_the_server_keeps_to_its_flood_control(telegram: FakeTelegram) -> None:
    telegram.private("hello")
    telegram.flood("sendMessage", seconds=1)
    for _ in range(2):
        reply = await _get(telegram, "sendMessage", chat_id=501, text="x")
        assert reply["error_code"] == 429
        assert reply["parameters"] == {"retry_after": 1}
    assert telegram.impatient == 1
    await asyncio.sleep(1)
    assert (await _get(telegram, "sendMessage", chat_id=501, text="x"))["ok"]
