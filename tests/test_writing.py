"""A written answer: checked before it is shown, and an extract wherever a model fails."""

import math
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.metrics import Metrics
from bot.wiring import App, open_app
from chat_server import ChatServer, Mood, chat_server
from fakes import ScriptedLlm
from rag import citations, evaluate
from rag.answer import Answerer
from rag.llm import Llm, Messages, Shaped
from rag.retrieve import Findings, Retriever
from rag.types import Answer, Article, Found, Language, Piece, Question
from rag.words.glossary import open_glossary
from rag.written import writing
from rag.written.breaker import FAILURES

KILNS = "what did Rao Jianzhang propose for the old kiln sites in Fuliang?"
LUNCH = "织金县有多少名学生在学校吃午饭？"
SAID = "Rao Jianzhang proposed to grade the kiln sites [1]."
LIMIT_S = 3.0


def articles_of(app: App) -> dict[str, Article]:
    return {article.article_id: article for article in app.records.articles(limit=1000)}


def answerer_of(app: App, model: Llm | None) -> Answerer:
    return Answerer(
        app.records, app.answerer._retriever, app.embedder, model, gloss=app.answerer._gloss
    )


def ask(app: App, answerer: Answerer, text: str = KILNS, lang: str = "auto") -> Answer:
    """The answer, which must keep every promise."""
    answer = answerer.answer_now(answerer.question(text, lang))
    assert evaluate.kept_promises(answer, articles_of(app)).problems == ()
    return answer


def quotes(answer: Answer) -> str:
    return "\n".join(citation.quote for citation in answer.citations)


# --- what is kept ---------------------------------------------------------------------------------


def test_a_written_answer_cites_the_words_that_say_so(sample_app: App) -> None:
    model = ScriptedLlm(f"{SAID} The sky is blue.")
    answerer = answerer_of(sample_app, model)
    answer = ask(sample_app, answerer)
    assert (answer.mode, answer.model, answer.note) == ("written", "scripted", "")
    assert answer.answer == "Rao Jianzhang proposed to grade the kiln sites. [1]"
    assert answer.answer_plain == "Rao Jianzhang proposed to grade the kiln sites."
    assert "饶建章" in quotes(answer)
    ((_, (_, request)),) = model.asked
    assert request.count("<passage number=") == len(answer.passages) == 8
    assert KILNS in request
    assert answerer.written == {"kept": 1, "repaired": 0, "dropped": 1}


def test_a_marker_that_points_elsewhere_is_repaired(sample_app: App) -> None:
    answerer = answerer_of(sample_app, ScriptedLlm(SAID.replace("[1]", "[7]")))
    answer = ask(sample_app, answerer)
    assert answer.answer == "Rao Jianzhang proposed to grade the kiln sites. [1]"
    assert "饶建章" in quotes(answer)
    assert answerer.written == {"kept": 0, "repaired": 1, "dropped": 0}


@pytest.mark.parametrize(
    "reply", ["CANNOT_ANSWER", " ", "It is so.", "It is so [99].", "77777 [1]", "<html></html>"]
)
def test_a_reply_without_a_true_sentence_gives_the_extract(sample_app: App, reply: str) -> None:
    answer = ask(sample_app, answerer_of(sample_app, ScriptedLlm(reply)))
    assert answer.mode == "extractive"
    assert answer.citations == ask(sample_app, sample_app.answerer).citations
    assert "nothing that the articles bear out" in answer.note


def test_a_refusal_asks_no_model(sample_app: App) -> None:
    model = ScriptedLlm("Hello [1].")
    assert ask(sample_app, answerer_of(sample_app, model), "hello").abstained
    assert model.asked == []


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Rao Jianzhang (饶建章) of Fuliang (浮梁县) spoke.", True),
        ("en", "“老年窗口” is kept.", True),
        ("en", "委员建议保留窗口。", False),
        ("en", "Le conseil a construit des bancs.", False),
        ("en", "Der Rat hat die Bank nicht gebaut.", False),
        ("en", "Reading glasses, magnifiers, wheelchairs", True),
        ("en", "1,036", True),
        ("zh", "委员建议推广5G网络。", True),
        ("zh", "Members proposed it.", False),
        ("zh", "2024年3月", True),
    ],
)
def test_the_language_of_a_sentence_is_heard(language: Language, text: str, expected: bool) -> None:
    assert writing.is_in(language, text) is expected


# --- whatever a model writes ----------------------------------------------------------------------

PIECES = [
    *(
        "[1]",
        "[2]",
        "【3】",
        "(4)",
        "[1: “分类施策”]",
        "。",
        ". ",
        "\n",
        "- ",
        "127",
        "21.1%",
        "2030",
    ),
    *("Rao Jianzhang proposed to grade the kiln sites", "The county has", "kiln sites", "委员"),
    *(
        "应当按“抢救、看护、展示”三个等级分类施策",
        "127处",
        "Zhao Qianli",
        "<b>",
        "![x](http://e.example)",
    ),
    *('{"statements": [', '{"passage": 1, "quote": "饶建章", "text": "Rao spoke."}', "CANNOT", "“"),
]
REPLIES = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map(" ".join)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=REPLIES, lang=st.sampled_from(["zh", "en"]))
def test_whatever_a_model_writes_every_citation_is_exact(
    sample_app: App, reply: str, lang: str
) -> None:
    answerer = answerer_of(sample_app, ScriptedLlm(reply or " "))
    question = answerer.question(KILNS, lang)
    pieces, answer = [], None
    for step in answerer._steps(question):
        if isinstance(step, Piece):
            pieces.append(step)
        elif isinstance(step, Answer):
            answer = step
    assert answer is not None
    assert citations.faults(answer, articles_of(sample_app)) == []
    assert evaluate.kept_promises(answer, articles_of(sample_app)).problems == ()
    assert not re.search(r"<[a-z/]|\]\(", answer.answer)
    assert "".join(piece.text for piece in pieces) == answer.answer
    if answer.mode == "extractive":
        assert answer.note


# --- as it is written -----------------------------------------------------------------------------


class _Waiting(ScriptedLlm):
    """Writes a first sentence, then waits to be let on."""

    def __init__(self, *replies: str) -> None:
        super().__init__(*replies)
        self.go_on = threading.Event()

    def stream(self, messages, shaped=None, deadline=math.inf):  # type: ignore[no-untyped-def]
        first, rest = self.complete(messages).split("\n", 1)
        yield first + "\n"
        assert self.go_on.wait(10)
        yield rest


async def test_a_sentence_is_shown_while_the_next_is_written(sample_app: App) -> None:
    model = _Waiting(f"{SAID}\nHe would not begin with development [1].")
    answerer = answerer_of(sample_app, model)
    steps = answerer.stream(answerer.question(KILNS))
    assert isinstance(await anext(steps), Found)
    first = await anext(steps)
    assert isinstance(first, Piece)
    assert first.text == "Rao Jianzhang proposed to grade the kiln sites. [1]"
    assert [c.n for c in first.citations] == [1]
    model.go_on.set()
    *pieces, answer = [step async for step in steps]
    assert isinstance(answer, Answer)
    assert answer.answer.startswith(first.text + "\n")
    assert first.text + "".join(p.text for p in pieces if isinstance(p, Piece)) == answer.answer


# --- when the model fails -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "failures"),
    [
        pytest.param(ScriptedLlm(SAID), 0, id="written"),
        pytest.param(ScriptedLlm("The moon is made of cheese [1]."), 0, id="nothing of use"),
        pytest.param(ScriptedLlm(), 1, id="away"),
    ],
)
def test_only_a_model_that_is_away_counts_as_failed(
    sample_app: App, model: Llm, failures: int
) -> None:
    counts = Metrics()
    counts.answered("http", ask(sample_app, answerer_of(sample_app, model)))
    assert f"wenbao_llm_failures_total {failures}.0" in counts.page({}).decode()


@pytest.mark.parametrize(("question", "note"), [(KILNS, "is away"), (LUNCH, "暂时不可用")])
def test_an_extract_with_a_note_stands_in_for_a_model_that_is_away(
    sample_app: App, question: str, note: str
) -> None:
    answer = ask(sample_app, answerer_of(sample_app, ScriptedLlm()), question)
    assert note in answer.note
    assert answer.mode == "extractive"
    plain = ask(sample_app, sample_app.answerer, question)
    assert (answer.answer, answer.citations) == (plain.answer, plain.citations)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def with_server(sample_app: App, server: ChatServer) -> Iterator[App]:
    """The house as settings wire it to a language model."""
    changed = {"llm": "openai:small", "llm_base_url": server.url, "llm_timeout_s": LIMIT_S}
    opened = open_app(sample_app.settings.model_copy(update=changed))
    assert opened.answerer._model is not None
    opened.answerer._model._opened()  # type: ignore[attr-defined]  # imports LangChain
    yield opened
    opened.close()


def test_an_answer_is_written_by_the_server_that_settings_name(
    with_server: App, server: ChatServer
) -> None:
    server.reply = SAID
    answer = ask(with_server, with_server.answerer)
    assert (answer.mode, answer.model) == ("written", "small")
    assert answer.answer == "Rao Jianzhang proposed to grade the kiln sites. [1]"


def test_an_answer_is_written_as_json_where_the_server_can(
    with_server: App, server: ChatServer
) -> None:
    text = "Rao Jianzhang proposed to grade the kiln sites."
    row = f'{{"passage": 1, "quote": "三个等级分类施策", "text": "{text}"}}'
    server.shaped = f'{{"statements": [{row}]}}'
    answer = ask(with_server, with_server.answerer)
    assert (answer.mode, answer.answer) == ("written", f"{text} [1]")
    assert "三个等级分类施策" in quotes(answer)


FAILING: list[Mood] = [
    *("fails", "refuses", "is busy", "is silent", "begins late", "dribbles", "stops half way"),
    *("hangs half way", "never ends", "is cut off", "talks nonsense", "is empty", "declines"),
]


def own_clock() -> float:
    """Seconds, less those that this thread was ready to go on and had no processor to do so."""
    waits = Path("/proc/thread-self/schedstat")  # Linux
    waited_ns = int(waits.read_text().split()[1]) if waits.exists() else 0
    return time.monotonic() - waited_ns / 1e9


@pytest.mark.parametrize("mood", FAILING)
def test_a_server_that_fails_costs_no_answer_and_no_time_beyond_the_limit(
    sample_app: App, with_server: App, server: ChatServer, mood: Mood
) -> None:
    server.mood, server.busy, server.retry_after = mood, 99, "30"
    server.reply = f"{SAID}\n" * 2 + "He would not begin with development [1].\n" * 9
    answerer = with_server.answerer
    question = answerer.question(KILNS)
    started = own_clock()
    found, *pieces, answer = answerer._steps(question)
    assert own_clock() - started < LIMIT_S + 0.5
    assert isinstance(found, Found)
    assert isinstance(answer, Answer)
    plain = ask(sample_app, sample_app.answerer)
    note = "The language model is away; these are the passages themselves."
    away = replace(plain, note=note, llm_away=True, timings_ms={})
    assert replace(answer, timings_ms={}) == away
    shown = "".join(piece.text for piece in pieces if isinstance(piece, Piece))
    begun = mood in ("stops half way", "hangs half way", "is cut off", "never ends")
    assert shown.startswith("Rao Jianzhang proposed") if begun else shown == answer.answer


class _Counting(Retriever):
    searched = 0

    def search(self, question: Question) -> Findings:
        self.searched += 1
        return super().search(question)


class _Late(ScriptedLlm):
    """Fails; keeps when it had to be done, and how often had been searched by then."""

    deadline = failed_at = 0.0
    searched = 0
    retriever: _Counting

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        self.deadline, self.searched = deadline, self.retriever.searched
        self.failed_at = time.thread_time()
        yield from super().stream(messages)


def test_a_model_that_fails_leaves_nothing_to_be_done(sample_app: App) -> None:
    """So that who waits has the answer at the time limit, which goes from the question on."""
    app, model = sample_app, _Late()
    glossary = open_glossary(app.settings.models)
    retriever = _Counting(app.records, app.index, app.embedder, glossary.lookup)
    model.retriever = retriever
    answerer = Answerer(app.records, retriever, app.embedder, model, gloss=app.answerer._gloss)
    question = answerer.question("天心区今年还要装多少部电梯？全椒首批青年公寓又有多少间？")
    before = time.monotonic()
    answer = answerer.answer_now(question)
    assert before < model.deadline - model.limit_s < before + answer.timings_ms["search"] / 1000
    assert time.thread_time() - model.failed_at < 0.05
    assert retriever.searched == model.searched == 3  # the whole question and both of its parts
    assert len({citation.article_id for citation in answer.citations}) == 2


def test_a_dead_server_costs_nothing_after_the_third_question(
    sample_app: App, with_server: App, server: ChatServer
) -> None:
    server.mood = "refuses"
    for _ in range(FAILURES):
        ask(with_server, with_server.answerer)
    apps = (sample_app, with_server)
    took = [[ask(app, app.answerer).timings_ms["total"] for app in apps] for _ in range(5)]
    plain, open_ = map(min, zip(*took, strict=True))  # of a loaded machine its best counts
    assert len(server.asked) == FAILURES
    assert open_ < plain + 100
