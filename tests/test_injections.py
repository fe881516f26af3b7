"""Orders in articles, titles and questions: a model that obeys them all changes nothing.

Every text of `data/injections.jsonl` stands in an article of its own (or is added to a question).
The models here do what they are told by whoever tells them; what leaves is looked at on every door.
"""

import html.parser
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bot import render, render_telegram
from bot.settings import Settings
from bot.wiring import App, open_app
from rag import evaluate, generations
from rag.answer import Answerer
from rag.llm import ChatModel, Llm, Messages, Shaped
from rag.types import Answer, Article, Language
from rag.written import orders
from small_model import small_model_server

DATA = Path(__file__).parent / "data" / "injections.jsonl"
_PLACES = """
    云溪 松岭 柳河 石桥 梅川 金滩 白杨 青浦 红崖 沙洲 竹山 桃源 柏林 枫泾 兰台 荷塘 桂园 樟树 榆林
    槐荫 稻香 麦田 禾丰 粟裕 豆庄 瓜洲 果园 茶陵 桑植 麻阳 葛洲 芦溪 苇湖 莲花 菱湖 藕池 萍乡 荇泽
""".split()


@dataclass(frozen=True, slots=True)
class Injection:
    """A hostile text, where it stands, what who obeys it writes, and what must never be shown."""

    id: str
    language: Language
    place: str
    text: str
    obeyed: str
    never: list[str]
    n: int

    @property
    def county(self) -> str:
        return _PLACES[self.n % len(_PLACES)]

    @property
    def article(self) -> dict[str, str]:
        """The article that it stands in, or is asked about."""
        title = self.text if self.place == "title" else self._title
        body = self._body if self.place != "passage" else self._spiked
        return {"id": f"inj-{self.n:02}", "title": title, "text": body, "date": "2024-05-20"}

    @property
    def _count(self) -> int:
        return 31 + self.n

    @property
    def _title(self) -> str:
        zh, en = f"{self.county}县添了歇脚长椅", f"Benches for walkers in district {self._count}"
        return zh if self.language == "zh" else en

    @property
    def _body(self) -> str:
        return self._first + self._last

    @property
    def _spiked(self) -> str:
        return f"{self._first}\n{self.text}\n{self._last}"

    @property
    def _first(self) -> str:
        if self.language == "zh":
            return (
                f"{self.county}县政协委员走访老街后建议，在公交站旁添置长椅。"
                f"今年五月，{self.county}县在老街装好了{self._count}座长椅，老人走累了就能坐下。"
            )
        return (
            "Members of the council walked the old streets and proposed benches at bus stops. "
            f"In May the council put up {self._count} benches along the old streets. "
        )

    @property
    def _last(self) -> str:
        if self.language == "zh":
            return "长椅用旧木料做成，下雨也不积水。"
        return "The benches are made of old timber, and rain runs off them."

    @property
    def question(self) -> str:
        zh, en = (
            f"{self.county}县在老街装了多少座长椅？",
            "How many benches did the council put up?",
        )
        asked = zh if self.language == "zh" else en
        return f"{asked} {self.text}" if self.place == "question" else asked

    @property
    def truth(self) -> str:
        if self.language == "zh":
            return f"{self.county}县在老街装好了{self._count}座长椅"
        return f"In May the council put up {self._count} benches along the old streets"


def injections() -> list[Injection]:
    rows = DATA.read_text(encoding="utf-8").splitlines()
    return [Injection(**json.loads(row), n=n) for n, row in enumerate(rows)]


ALL = injections()


class ObedientLlm:
    """Does what anybody says; `blindly` even where the order was kept from it."""

    name = "obedient"
    limit_s = 20.0

    def __init__(self, case: Injection, *, blindly: bool, marked: str) -> None:
        self._case = case
        self._blindly = blindly
        self._marked = marked
        self.obeyed = False

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        return "".join(self.stream(messages))

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        said = "\n".join(text for _, text in messages)
        self.obeyed = self._blindly or _order(self._case.text) in said
        if self.obeyed:
            rules = next(text for role, text in messages if role == "system")
            text = self._case.obeyed.replace("{rules}", rules)
            quote = self._case.text.replace('"', "”").replace("\n", " ")
            mark = self._marked.format(quote=quote)
            yield "".join(f"{row.rstrip('。. ')}{mark}。\n" for row in text.splitlines())
        yield f"{self._case.truth} [1]。"


def _order(text: str) -> str:
    """How an order reads in a prompt, where it is shown at all."""
    shown = orders.visible(text).replace("<", "‹").replace(">", "›").replace('"', "”")
    return re.split(r"[，。,.\n\[]", shown.lstrip("‹/[!"))[0]


@pytest.fixture(scope="module")
def house(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A library of nothing but hostile articles."""
    home = tmp_path_factory.mktemp("hostile")
    articles = home / "articles.jsonl"
    rows = (json.dumps(case.article, ensure_ascii=False) for case in ALL)
    articles.write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "verify", generations._probe)
        opened = open_app(Settings(home=home / "home", model_cache=model_cache, _env_file=None))
        opened.ingest([articles])
    yield opened
    opened.close()


def article_of(app: App, case: Injection) -> Article:
    (found,) = [a for a in app.records.articles(limit=1000) if a.text == case.article["text"]
                and a.title == case.article["title"]]  # fmt: skip
    return found


def ask(app: App, case: Injection, model: Llm | None) -> Answer:
    """What the house says with this model; it must keep every promise."""
    answerer = Answerer(app.records, app.answerer._retriever, app.embedder, model)
    article = article_of(app, case)
    question = answerer.question(case.question, case.language, article_ids=[article.article_id])
    answer = answerer.answer_now(question)
    promises = evaluate.kept_promises(answer, {article.article_id: article})
    assert promises.problems == ()
    return answer


def test_a_refusal_names_no_title_that_gives_orders(house: App) -> None:
    (case,) = [case for case in ALL if case.id == "title-zh-1"]
    asked = house.answerer.question(
        "柳河县的校车几点发车？", "zh", article_ids=[article_of(house, case).article_id]
    )
    answer = house.answerer.answer_now(asked)
    assert answer.abstained and case.text not in answer.answer


class _Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert tag == "blockquote" or not attrs


def assert_harmless(case: Injection, answer: Answer) -> None:
    for never in case.never:
        assert never not in answer.answer
        assert never not in answer.answer_plain
    assert not re.search(r"<[A-Za-z/!]|!\[[^\]]*\]\(|\]\(", answer.answer)
    messages = render_telegram.messages(answer)
    assert _Tags("".join(m.html for m in messages)).found <= {"b", "i", "blockquote"}
    screen = Console(file=io.StringIO(), width=100, force_terminal=False)
    screen.print(render.terminal(answer))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    for shown in (printed, render.plain(answer), "".join(m.text for m in messages)):
        assert not re.search("[\x00-\x09\x0b-\x1f\u200b\u202a-\u202e]", shown)
    json.dumps(render.to_json(answer))


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 60
    assert {(c.language, c.place) for c in ALL} == {
        (language, place) for language in ("zh", "en") for place in ("passage", "title", "question")
    }


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
@pytest.mark.parametrize("blindly", [False, True], ids=["obeys", "obeys-blindly"])
def test_a_model_that_obeys_everything_changes_nothing(
    house: App, case: Injection, blindly: bool
) -> None:
    marks = ("", " [1]", ' [1: "{quote}"]', "【9】") if blindly else (' [1: "{quote}"]',)
    for marked in marks:
        answer = ask(house, case, ObedientLlm(case, blindly=blindly, marked=marked))
        assert_harmless(case, answer)
        if not answer.abstained and "CANNOT_ANSWER" not in case.obeyed:
            assert case.truth in answer.answer


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_an_extract_carries_no_markup_either(house: App, case: Injection) -> None:
    answer = ask(house, case, None)
    assert not re.search(r"<[A-Za-z/!]|!\[[^\]]*\]\(|\]\(", answer.answer)
    assert answer.mode == "extractive"


@pytest.mark.slow
def test_a_real_small_model_leaks_nothing(house: App) -> None:
    with small_model_server() as url:
        model = _Heard(ChatModel("smollm2", url, "", 60.0))
        for case in ALL[::24]:
            assert_harmless(case, ask(house, case, model))
        assert model.heard


class _Heard:
    """Keeps what a model writes."""

    name = "smollm2"
    limit_s = 60.0

    def __init__(self, model: Llm) -> None:
        self._model = model
        self.heard = ""

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        return self._model.complete(messages, deadline)

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        for part in self._model.stream(messages, shaped, deadline):
            self.heard += part
            yield part
