"""What a report says: the table on a terminal, bars to reach, a page that runs nothing."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from evaluated import HOW_MANY, KILN, MAYOR, QUESTIONS, SCRIPT, answered, cite, measured, refused
from rag.errors import WrongUse
from rag.evaluate import EvalReport
from rag.measuring import compare, report_page, report_table
from rag.measuring import report as reporting
from rag.measuring.estimates import Estimate
from rag.measuring.measures import MEASURES
from rag.measuring.report import Bar

NASTY = "<script>alert(1)</script>\x1b[2J\u202e"


@pytest.fixture
def report(tmp_path: Path) -> EvalReport:
    return measured(tmp_path / "home")


def printed(report: EvalReport, width: int = 80) -> str:
    out = io.StringIO()
    change = compare.compare(compare.past(report), compare.past(report))
    Console(file=out, width=width).print(report_table.table(report, change))
    return out.getvalue()


def page(report: EvalReport) -> str:
    return report_page.page(report, compare.compare(compare.past(report), compare.past(report)))


# --- the table


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_has_every_measure_in_order(report: EvalReport, width: int) -> None:
    text = printed(report, width)
    assert "…" not in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    hit = next(line for line in lines if line.startswith("hit@3"))
    assert hit.split() == ["hit@3", *("1.000", "1.0–1.0", "3"), *("1.000", "1.0–1.0", "1"),
                           *("1.000", "1.0–1.0", "2")]  # fmt: skip
    labels = [m.label for name, m in MEASURES.items() if name in report.metrics]
    rows = [next(i for i, line in enumerate(lines) if line.startswith(label)) for label in labels]
    assert rows == sorted(rows)


def test_kinds_keep_their_names_at_80_columns(tmp_path: Path) -> None:
    kinds = ("unanswerable", "two_article", "near_miss")
    asked = [
        replace(each, id=f"{each.id}-{kind}", kind=kind) for kind in kinds for each in QUESTIONS
    ]
    lines = printed(measured(tmp_path / "kinds", asked)).splitlines()
    assert {line.split()[0] for line in lines if line.startswith(kinds)} == set(kinds)


def test_many_questions_fit_too(report: EvalReport) -> None:
    many = {name: replace(e, n=1190) for name, e in report.metrics.items()}
    wide = replace(
        report, metrics=many, by_language=dict.fromkeys(report.by_language, many),
        outcomes=report.outcomes * 300,
    )  # fmt: skip
    lines = printed(wide).splitlines()
    assert any(
        line.startswith("unanswerable refused  1.000") and line.endswith(" 1190") for line in lines
    )


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.915, 0.974, ".92–.97"),
        (0.0, 1.0, "0–1.0"),
        (1.649, 2.014, "1.6–2.0"),
        (43.2, 153.7, "43–154"),
        (-0.001, 0.994, "0–.99"),
        (9.96, 9.99, "10–10"),
    ],
)
def test_an_interval_is_short(low: float, high: float, shown: str) -> None:
    assert report_table.interval(Estimate(low, 9, low, high)) == shown


def test_a_single_language_has_no_column_for_the_other(tmp_path: Path) -> None:
    report = measured(tmp_path / "one", [HOW_MANY, MAYOR])
    assert "Chinese" in printed(report)
    assert "English" not in printed(report)


def test_text_of_a_question_file_can_not_steer_the_terminal(tmp_path: Path) -> None:
    nasty = replace(HOW_MANY, id="\x1b[31m[red]", kind="\x1b]0;x\x07[b]", evidence=("\x1b[2J没有",))
    text = printed(measured(tmp_path / "nasty", [nasty]))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text
    assert "[b]" in text


def test_many_warnings_are_cut_short(tmp_path: Path) -> None:
    missing = tuple(f"没有第{i}句" for i in range(9))
    text = printed(measured(tmp_path / "many", [replace(HOW_MANY, evidence=missing)]))
    assert text.count("evidence is in no article") == 6
    assert "and 4 more" in text


# --- bars


def test_a_bar_names_a_measure_and_a_number() -> None:
    assert reporting.bar("hit@3.zh=0.95") == Bar("hit@3.zh", 0.95)


@pytest.mark.parametrize("text", ["hit@4=1", "hit@3", "hit@3=", "hit@3=nan", "hit@3=much", "=1"])
def test_a_wrong_bar_is_refused(text: str) -> None:
    with pytest.raises(WrongUse, match=r"measure|METRIC=VALUE"):
        reporting.bar(text)


def test_a_wrong_name_is_answered_with_all_names() -> None:
    with pytest.raises(WrongUse) as caught:
        reporting.bar("recall=0.9")
    assert all(name in str(caught.value) for name in MEASURES)


def test_a_bar_for_a_kind_that_nobody_asks_is_refused() -> None:
    reporting.check_groups(
        [Bar("hit@3.zh", 1), Bar("hit@3.how_many", 1), Bar("auroc", 1)], QUESTIONS
    )
    with pytest.raises(WrongUse, match=r"list.*zh, en, how_many"):
        reporting.check_groups([Bar("hit@3.list", 1)], QUESTIONS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("hit@3=1", "", id="reached"),
        pytest.param("hit@1=0.5", "hit@1 is 0.3333, under 0.5.", id="too low"),
        pytest.param("refused_answerable=0.4", "", id="low is good"),
        pytest.param(
            "refused_answerable=0.1", "refused_answerable is 0.3333, over 0.1.", id="too high"
        ),
        pytest.param("p95_ms=60000", "", id="fast enough"),
        pytest.param(
            "auroc.how_many=0.5", "auroc.how_many was measured on no question.", id="none"
        ),
        pytest.param("ingest_seconds=9", "ingest_seconds was measured on no question.", id="cost"),
    ],
)
def test_a_bar_is_a_minimum_or_where_low_is_good_a_maximum(
    report: EvalReport, text: str, problem: str
) -> None:
    assert reporting.missed(report, [reporting.bar(text)]) == ([problem] if problem else [])


# --- the page


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and whether they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_and_runs_nothing(report: EvalReport) -> None:
    text = page(report)
    tags = Tags(text)
    assert tags.open == []
    names = {tag for tag, _ in tags.seen}
    assert {"table", "svg", "polyline", "circle", "rect", "details"} <= names
    assert not names & {"script", "link", "img", "iframe", "object", "a"}
    assert not any(key in attributes for _, attributes in tags.seen for key in ("src", "href"))
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_has_all_measures_four_plots_and_the_comparison(report: EvalReport) -> None:
    text = page(report)
    for name in report.metrics:
        assert MEASURES[name].label in text
    for plot in ("Retrieval curve", "Risk-coverage curve", "Calibration", "Latency"):
        assert f"<title>{plot}</title>" in text
    assert "Compared with the report of" in text
    assert "Compared with" not in report_page.page(report)


def test_every_miss_is_there_with_question_evidence_answer_and_passages(tmp_path: Path) -> None:
    wrong = answered("雾 [1]。", cite(1, KILN, "雾还没散"))
    text = page(measured(tmp_path / "home", script={**SCRIPT, HOW_MANY.text: wrong}))
    assert text.count("<details>") == 2  # the lift article was refused
    (found,) = re.findall(rf"<details>\s*<summary><b>{HOW_MANY.text}.*?</details>", text, re.S)
    for part in (
        "evidence not cited",
        HOW_MANY.evidence[0],
        "127处 or 127",
        "雾 [1]。",
        "雾还没散",
    ):
        assert part in found
    assert f"<mark>{HOW_MANY.evidence[0]}</mark>" in found
    assert found.count("kiln-0") == 1


def test_a_report_without_a_miss_says_so(tmp_path: Path) -> None:
    assert "None: every question" in page(measured(tmp_path / "home", [HOW_MANY, MAYOR]))


def test_text_of_questions_articles_and_models_stays_text(tmp_path: Path) -> None:
    asked = replace(HOW_MANY, id=NASTY, kind=NASTY, answers=((NASTY,),), evidence=(NASTY,))
    article = replace(KILN, title=NASTY, text=f"一{NASTY}二")
    quote = replace(cite(1, article, "一"), title=NASTY, quote=NASTY)
    said = replace(answered(f"{NASTY} [1]", quote), model=NASTY, note=NASTY)
    passages = tuple(
        replace(hit, passage=replace(hit.passage, title=NASTY, text=f"一{NASTY}二"))
        for hit in said.passages
    )
    script = {asked.text: replace(said, passages=passages)}
    text = page(measured(tmp_path / "home", [asked], script))
    assert "script" not in {tag for tag, _ in Tags(text).seen}
    assert text.count("&lt;script&gt;") > 10
    assert not re.search(r"[\x1b\u202e]", text)


def test_refusals_alone_make_a_page_too(tmp_path: Path) -> None:
    script = {each.text: replace(refused(), passages=()) for each in QUESTIONS}
    text = page(measured(tmp_path / "home", script=script))
    assert "Risk-coverage" not in text
    assert "Calibration" in text
