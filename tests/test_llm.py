"""Whatever a server does, a reply comes in time or LlmUnavailable does."""

import json
import logging
import socket
import time
from collections.abc import Iterator

import pytest

from chat_server import ChatServer, Mood, chat_server
from rag import llm, prompts
from rag.errors import LlmUnavailable
from rag.llm import ChatModel, Shaped
from rag.types import Hit, Passage
from rag.written import replies
from rag.written.breaker import FAILURES, REST_S, Breaker
from small_model import small_model_server

MESSAGES = [("system", "Rules."), ("user", "谁说了？")]
ROOM_S = 4.0  # for a busy machine; without a limit of ours these servers keep one for a minute
HALF_S = 2.0  # of a time limit, with as much room behind it
SHAPED = Shaped([("user", "JSON")], {"type": "json_schema", "json_schema": {"name": "answer"}})


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def model(server: ChatServer, timeout_s: float = 20.0) -> ChatModel:
    opened = ChatModel("small-model", server.url, "k-1", timeout_s)
    opened._opened()  # the import is nothing to wait for
    return opened


def test_a_reply_comes_over_http_as_it_was_written(server: ChatServer) -> None:
    server.reply = "委员说了[1]。\n— “ok” <b>"
    assert model(server).complete(MESSAGES) == server.reply
    (request,) = server.asked
    assert request["model"] == "small-model"
    assert request["temperature"] == 0
    assert request["stream"] is True
    assert request["max_tokens"] == llm.MAX_TOKENS
    assert [(m["role"], m["content"]) for m in request["messages"]] == MESSAGES
    assert server.keys == ["k-1"]


def test_a_reply_comes_in_parts_as_it_is_written(server: ChatServer) -> None:
    server.reply, server.delay_s = "abcdefg" * 4, 0.1
    parts = model(server).stream(MESSAGES)
    assert next(parts) == "abcdefg"
    assert server.sent < 4
    assert "".join(parts) == "abcdefg" * 3


def test_a_server_that_needs_no_key_is_sent_none_of_anybody(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-project")
    ChatModel("m", server.url, "", 20.0).complete(MESSAGES)
    assert server.keys == ["none"]


# --- replies of a given shape ---------------------------------------------------------------------


def test_a_server_that_takes_a_schema_is_given_it(server: ChatServer) -> None:
    server.shaped = '{"statements": []}'
    assert "".join(model(server).stream(MESSAGES, SHAPED)) == server.shaped
    (request,) = server.asked
    assert request["response_format"] == dict(SHAPED.schema)
    assert request["messages"][0]["content"] == "JSON"


def test_a_server_that_takes_no_schema_is_asked_in_plain_text_from_then_on(
    server: ChatServer,
) -> None:
    one = model(server)
    for _ in range(2):
        assert "".join(one.stream(MESSAGES, SHAPED)) == "Hello."
    assert ["response_format" in request for request in server.asked] == [True, False, False]


def test_a_server_that_takes_nothing_is_offered_the_schema_again(server: ChatServer) -> None:
    one = model(server)
    server.mood = "refuses"
    with pytest.raises(LlmUnavailable):
        "".join(one.stream(MESSAGES, SHAPED))
    server.mood, server.shaped = "answers", "{}"
    assert "".join(one.stream(MESSAGES, SHAPED)) == "{}"


# --- failures -------------------------------------------------------------------------------------

FAILING: list[Mood] = [
    *("fails", "refuses", "is silent", "begins late", "dribbles", "stops half way"),
    *("hangs half way", "never ends", "is cut off", "talks nonsense", "is empty", "declines"),
]


@pytest.mark.parametrize("mood", FAILING)
def test_a_server_without_a_whole_reply_is_unavailable_in_time(
    server: ChatServer, mood: Mood
) -> None:
    server.mood, server.reply = mood, "a long reply " * 10
    slow = model(server, timeout_s=1.0)
    started = time.monotonic()
    with pytest.raises(LlmUnavailable, match="doesn't answer"):
        slow.complete(MESSAGES)
    assert time.monotonic() - started < 1.0 + ROOM_S


@pytest.mark.parametrize("mood", ["is silent", "begins late", "dribbles"])
def test_a_server_that_has_not_begun_by_half_of_the_time_is_given_up(
    server: ChatServer, mood: Mood
) -> None:
    server.mood = mood
    slow = model(server, timeout_s=2 * HALF_S)
    started = time.monotonic()
    with pytest.raises(LlmUnavailable):
        slow.complete(MESSAGES)
    assert 0.9 * HALF_S < time.monotonic() - started < 1.9 * HALF_S


def test_what_was_written_before_a_stream_died_was_handed_over(server: ChatServer) -> None:
    server.mood, server.reply = "stops half way", "1234567" * 4
    parts = model(server).stream(MESSAGES)
    assert [next(parts), next(parts)] == ["1234567", "1234567"]
    with pytest.raises(LlmUnavailable):
        next(parts)


def test_an_endless_reply_is_cut_at_its_length(server: ChatServer) -> None:
    server.mood = "never ends"
    got: list[str] = []
    with pytest.raises(LlmUnavailable):
        got.extend(model(server).stream(MESSAGES))
    assert llm.MAX_CHARS - 20 < len("".join(got)) <= llm.MAX_CHARS


def test_a_wrong_key_is_tried_once(server: ChatServer) -> None:
    server.mood = "refuses"
    with pytest.raises(LlmUnavailable):
        model(server).complete(MESSAGES)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_is_asked_again_when_it_says(server: ChatServer) -> None:
    server.mood, server.busy, server.retry_after = "is busy", 1, "1"
    started = time.monotonic()
    assert model(server).complete(MESSAGES) == "Hello."
    assert time.monotonic() - started >= 1.0
    assert len(server.asked) == 2


def test_a_server_that_is_busy_for_longer_than_there_is_time_is_left(server: ChatServer) -> None:
    server.mood, server.busy, server.retry_after = "is busy", 9, "60"
    started = time.monotonic()
    with pytest.raises(LlmUnavailable):
        model(server, timeout_s=1.0 + ROOM_S).complete(MESSAGES)
    assert time.monotonic() - started < ROOM_S
    assert len(server.asked) == 1


def test_a_server_that_fails_is_tried_a_few_times_within_the_limit(server: ChatServer) -> None:
    server.mood = "fails"
    with pytest.raises(LlmUnavailable):
        model(server).complete(MESSAGES)
    assert len(server.asked) == llm.ATTEMPTS


@pytest.mark.parametrize("mood", ["is silent", "stops half way", "is empty"])
def test_a_server_that_began_or_kept_silent_is_asked_once(server: ChatServer, mood: Mood) -> None:
    server.mood, server.reply = mood, "a long reply " * 3
    with pytest.raises(LlmUnavailable):
        model(server, timeout_s=0.7).complete(MESSAGES)
    server.released.set()
    time.sleep(0.5)  # longer than a client would wait before it tries again
    assert len(server.asked) == 1


def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = ChatModel("m", f"http://127.0.0.1:{port}/v1", "", 20.0)
    with pytest.raises(LlmUnavailable):
        away.complete(MESSAGES)


def test_a_server_that_comes_back_answers_again(server: ChatServer) -> None:
    one = model(server)
    server.mood = "refuses"
    with pytest.raises(LlmUnavailable):
        one.complete(MESSAGES)
    server.mood = "answers"
    assert one.complete(MESSAGES) == "Hello."


def test_the_key_never_shows(server: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    server.mood = "refuses"
    caplog.set_level(logging.DEBUG, "rag")
    with pytest.raises(LlmUnavailable) as raised:
        ChatModel("m", server.url, "sk-secret", 20.0).complete(MESSAGES)
    assert "sk-secret" not in str(raised.value) + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("rag")
    )


# --- the circuit breaker --------------------------------------------------------------------------


def test_a_dead_server_costs_nothing_after_the_third_question(server: ChatServer) -> None:
    server.mood = "refuses"
    one = model(server)
    for _ in range(FAILURES):
        with pytest.raises(LlmUnavailable, match="doesn't answer"):
            one.complete(MESSAGES)
    asked = len(server.asked)
    started = time.thread_time()
    with pytest.raises(LlmUnavailable, match="left alone"):
        one.complete(MESSAGES)
    assert time.thread_time() - started < 0.05
    assert len(server.asked) == asked


def test_a_reader_who_leaves_is_no_failure_of_the_server(server: ChatServer) -> None:
    server.reply, server.delay_s = "a long reply " * 20, 0.02
    one = model(server)
    for _ in range(FAILURES + 1):
        parts = one.stream(MESSAGES)
        next(parts)
        parts.close()  # type: ignore[attr-defined]  # a generator's
    assert one._breaker.lets_through()
    time.sleep(0.3)
    sent = server.sent
    time.sleep(0.3)
    assert server.sent <= sent + 1  # nobody writes on for nobody


def test_a_server_that_is_back_and_cannot_answer_is_back(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = model(server)
    for _ in range(FAILURES):
        one._breaker.failed()
    assert not one._breaker.lets_through()
    monkeypatch.setattr(one._breaker, "_clock", lambda: time.monotonic() + REST_S)
    server.reply = f"{prompts.CANNOT_ANSWER}\nAsk about something else, please, and I will see."
    assert list(replies.statements(one.stream(MESSAGES))) == []
    assert [one._breaker.lets_through(), one._breaker.lets_through()] == [True, True]


def test_a_breaker_lets_one_request_through_after_a_rest() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(FAILURES):
        assert breaker.lets_through()
        breaker.failed()
    assert not breaker.lets_through()
    now[0] += REST_S
    assert [breaker.lets_through(), breaker.lets_through()] == [True, False]
    breaker.failed()
    now[0] += REST_S - 1
    assert not breaker.lets_through()
    now[0] += 1
    assert breaker.lets_through()
    breaker.succeeded()
    assert [breaker.lets_through(), breaker.lets_through()] == [True, True]


def test_failures_that_are_not_running_open_no_breaker() -> None:
    breaker = Breaker()
    for _ in range(FAILURES * 2):
        breaker.failed()
        breaker.succeeded()
        assert breaker.lets_through()


# --- a real model ---------------------------------------------------------------------------------

ENGLISH = [
    "On 5 March, 18 members visited the Qingyuan estate. They proposed more lifts.",
    "Care workers get 300 yuan more a month after three years.",
]


@pytest.fixture(scope="module")
def small_model() -> Iterator[str]:
    with small_model_server() as url:
        yield url


def hits() -> list[Hit]:
    return [
        Hit(Passage(f"p{n}", f"a{n}", "News", text, 0, len(text)), 1.0)
        for n, text in enumerate(ENGLISH, 1)
    ]


@pytest.mark.slow
def test_a_real_small_model_writes_in_parts(small_model: str) -> None:
    asked = prompts.messages("Who visited the Qingyuan estate?", "en", hits())
    parts = list(ChatModel("smollm2", small_model, "", 120.0).stream(asked))
    assert len(parts) > 1
    assert "".join(parts).strip()


@pytest.mark.slow
def test_a_real_small_model_is_held_to_the_schema(small_model: str) -> None:
    question = ("Who visited the Qingyuan estate?", "en", hits())
    one = ChatModel("smollm2", small_model, "", 120.0)
    reply = "".join(one.stream(prompts.messages(*question), prompts.shaped(*question)))  # type: ignore[arg-type]
    assert set(json.loads(reply)) == {"statements"}
    for statement in replies.statements([reply]):
        assert isinstance(statement.text, str)
