"""An Answer as each door shows it: JSON, plain text, terminal, Telegram; pure.

Articles, replies of models and questions are untrusted: what a person reads is made `harmless` and
escaped; what a program reads (JSON) is verbatim. Makes no links and asks nobody anything.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from rag.types import Answer, Article, Citation, Hit

TELEGRAM_UNITS = 4096  # UTF-16 code units of one message, counted after its entities are parsed
TELEGRAM_ENTITIES = 100  # Telegram drops those that follow without a word
TERMINAL_CELLS = 100  # longer lines are hard to read

MARKER = re.compile(r"\[\d{1,4}\]")

# --- JSON: the names of INTERFACE, values untouched ----------------------------------------------


def to_json(answer: Answer) -> dict[str, object]:
    """The Answer object of INTERFACE, the same on every door."""
    timings = {"embed": 0.0, "search": 0.0, "answer": 0.0, "total": 0.0} | answer.timings_ms
    return {
        "question": answer.question,
        "language": answer.language,
        "answer": answer.answer,
        "answer_plain": answer.answer_plain,
        "abstained": answer.abstained,
        "reason": answer.reason,
        "confidence": float(answer.confidence),
        "mode": answer.mode,
        "model": answer.model,
        "citations": [citation_json(citation) for citation in answer.citations],
        "passages": [hit_json(hit) for hit in answer.passages],
        "timings_ms": {stage: float(ms) for stage, ms in timings.items()},
        "note": answer.note,
        "understood": answer.understood,
    }


def citation_json(citation: Citation) -> dict[str, object]:
    """One citation of an Answer."""
    return {
        "n": citation.n,
        "article_id": citation.article_id,
        "title": citation.title,
        "date": citation.date,
        "source": citation.source,
        "quote": citation.quote,
        "start": citation.start,
        "end": citation.end,
        "answer_spans": [list(span) for span in citation.answer_spans],
        "verified": citation.verified,
        "score": float(citation.score),
        "gloss": citation.gloss,
    }


def hit_json(hit: Hit) -> dict[str, object]:
    """One ranked passage."""
    passage = hit.passage
    return {
        "passage_id": passage.passage_id,
        "article_id": passage.article_id,
        "title": passage.title,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "score": float(hit.score),
    }


def article_json(article: Article, with_text: bool) -> dict[str, object]:
    """One article; lists leave its text out."""
    text = {"text": article.text} if with_text else {}
    return {
        "article_id": article.article_id,
        "title": article.title,
        "subtitle": article.subtitle,
        "byline": article.byline,
        "date": article.date,
        "source": article.source,
        **text,
        "fragments": [{"start": part.start, "end": part.end} for part in article.fragments],
        "path": article.path,
        "also_in": [asdict(printing) for printing in article.also_in],
    }


# --- what people read ----------------------------------------------------------------------------

_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f"
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    f"|(?<![{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])"  # a joiner belongs between emoji only
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


_JOINED = (
    r"[\u0300-\u036f\u0483-\u0489\u064b-\u065f\u20d0-\u20ff\u3099\u309a\ufe0e\ufe0f\ufe20-\ufe2f"
    r"\U0001f3fb-\U0001f3ff]{0,8}"
)
_CLUSTER = re.compile(  # a whole marker, or what a reader takes for one character
    rf"\[\d{{1,4}}\]|[\U0001f1e6-\U0001f1ff]{{2}}|.{_JOINED}(?:\u200d.{_JOINED}){{0,8}}", re.DOTALL
)


def harmless(text: str) -> str:
    """The text without what steers a screen or hides: controls, bidi marks, zero-width characters.

    Line ends become newlines, tabs spaces; nothing that can be seen is changed.
    """
    text = _BREAKS.sub("\n", text).replace("\t", " ")
    return _LONE_SURROGATE.sub("\ufffd", _HIDDEN.sub("", text))


@dataclass(frozen=True, slots=True)
class Source:
    """An article as an answer cites it: once, with its (markers, quote) pairs; all harmless."""

    title: str
    date: str
    source: str
    quotes: tuple[tuple[str, str], ...]

    def place(self) -> str:
        """Date and source, as far as they are known."""
        return " · ".join(part for part in (self.date, self.source) if part)


def sources(answer: Answer) -> list[Source]:
    """The cited articles in the order of their first citation; a quote cited twice comes once."""
    cited: dict[str, dict[tuple[int, int], list[Citation]]] = {}
    for citation in answer.citations:
        quotes = cited.setdefault(citation.article_id, {})
        quotes.setdefault((citation.start, citation.end), []).append(citation)
    return [_source(list(quotes.values())) for quotes in cited.values()]


def _source(quotes: Sequence[Sequence[Citation]]) -> Source:
    first = quotes[0][0]
    return Source(
        title=_line(first.title),
        date=_line(first.date),
        source=_line(first.source),
        quotes=tuple(
            ("".join(f"[{citation.n}]" for citation in same), harmless(same[0].quote).strip())
            for same in quotes
        ),
    )


def _line(text: str) -> str:
    return " ".join(harmless(text).split())


def plain(answer: Answer) -> str:
    """The answer with its markers, then the sources with their quotes; no markup, no wrapping."""
    blocks = [harmless(answer.answer).strip(), harmless(answer.note).strip()]
    for source in sources(answer):
        head = " · ".join(part for part in (source.title, source.place()) if part)
        quotes = (f"{markers} {quote}" for markers, quote in source.quotes)
        blocks.append("\n".join(part for part in (head, *quotes) if part))
    return "\n\n".join(block for block in blocks if block)


# --- the terminal --------------------------------------------------------------------------------


def terminal(answer: Answer) -> RenderableType:
    """A rich renderable that wraps to the terminal; a refusal is told by its sign and colour."""
    return _Page(answer)


_AGAIN = "as quoted above"


@dataclass(frozen=True, slots=True)
class _Page:
    answer: Answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, TERMINAL_CELLS)
        answer = harmless(self.answer.answer).strip()
        if self.answer.abstained:
            yield from _hanging("✗ ", answer, width, "yellow", "yellow")
        else:
            for line in _hanging("", answer, width, "", ""):
                line.highlight_regex(MARKER, "bold cyan")
                yield line
        if note := harmless(self.answer.note).strip():
            yield Text()
            yield from _hanging("! ", note, width, "yellow", "yellow")
        for source in sources(self.answer):
            yield Text()
            yield from _heading(source, width)
            for markers, quote in source.quotes:
                shown = _AGAIN if _stands_in(quote, answer) else quote
                yield from _hanging(f"  {markers} ", shown, width, "bold cyan", "")


def _stands_in(quote: str, answer: str) -> bool:
    """Whether an answer quotes this already: an extract needn't be printed twice."""
    return "".join(quote.split()) in "".join(answer.split())


def _heading(source: Source, width: int) -> Iterator[Text]:
    head = " · ".join(part for part in (source.title, source.place()) if part)
    left = len(source.title)  # characters of the title that are still to come
    for line in wrap(head, width):
        text = Text(line, style="dim")
        text.stylize("not dim bold", 0, max(0, min(left, len(line))))
        left -= len(line)
        yield text


def _hanging(lead: str, body: str, width: int, lead_style: str, style: str) -> Iterator[Text]:
    """The body beside its lead, further lines indented by the lead's width."""
    indent = cell_len(lead)
    for number, line in enumerate(wrap(body, max(width - indent, 2))):
        yield Text.assemble((" " * indent if number else lead, lead_style), (line, style))


# What must not stand apart: a closing sign from what it closes, an opening one from what it opens.
_WRAPPABLE = re.compile(
    r"\s+|[“‘「『《（【〈(\[]*(?:\[\d{1,4}\]|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef“‘”’「『《【]+|\S)"
    r"(?:[，。！？；：、”’」』》）】〉…,.!?;:)\]]|\[\d{1,4}\])*"
)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells: Latin between words, Chinese between any two characters.

    Closing punctuation and markers stay with what they follow.
    """
    return [line for paragraph in text.split("\n") for line in _wrapped(paragraph, width)]


def _wrapped(paragraph: str, width: int) -> Iterator[str]:
    line, used = "", 0
    for token in _WRAPPABLE.findall(paragraph):
        cells = cell_len(token)
        if used + cells > width:
            if line.strip():
                yield line.rstrip()
            *whole, line = [""] if token.isspace() else _chopped(token, width)
            yield from whole
            used = cell_len(line)
        else:
            line, used = line + token, used + cells
    yield line.rstrip()


def _chopped(token: str, width: int) -> list[str]:
    """The token in parts of at most `width` cells; a wider character or marker stays whole."""
    parts, used = [""], 0
    for cluster in _CLUSTER.findall(token):
        cells = cell_len(cluster)
        if parts[-1] and used + cells > width:
            parts.append("")
            used = 0
        parts[-1] += cluster
        used += cells
    return parts


# --- Telegram ------------------------------------------------------------------------------------

_TAGS = {
    "": ("", ""),
    "bold": ("<b>", "</b>"),
    "italic": ("<i>", "</i>"),
    "quote": ("<blockquote expandable>", "</blockquote>"),
}


@dataclass(frozen=True, slots=True)
class TelegramMessage:
    """One message: `html` to send, `text` as it stands once the entities are parsed."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class _Run:
    """Text of one kind, with the whitespace `before` it; no such space: it goes on from the last.

    `before` is dropped where a message begins.
    """

    text: str
    kind: Literal["", "bold", "italic", "quote"] = ""
    before: str = ""


_Block = tuple[_Run, ...]  # runs that stay in one message when they fit


def telegram(answer: Answer, max_units: int = TELEGRAM_UNITS) -> list[TelegramMessage]:
    """The messages that carry an answer: the answer, then each cited article once with its quotes.

    A message holds at most `max_units` UTF-16 units of text. What is longer is cut between blocks,
    then paragraphs, sentences, clauses, at last characters; a part that fits whole is never cut.
    The texts put together are the unsplit text, but for whitespace at the seams.
    """
    parts = (part for block in _blocks(answer) for part in _fitting(block, max_units))
    messages = (_message(page) for page in _pages(parts, max_units))
    return [message for message in messages if message.text]


def telegram_text(text: str) -> TelegramMessage:
    """Our own words (short) as a message; titles in them are made harmless."""
    clean = harmless(text).strip()
    return TelegramMessage(html.escape(clean, quote=False), clean)


def utf16_units(text: str) -> int:
    """The length that Telegram counts: a character outside the first plane counts twice."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _blocks(answer: Answer) -> Iterator[_Block]:
    yield (_Run(harmless(answer.answer).strip()),)
    if note := harmless(answer.note).strip():
        yield (_Run(note, "italic", "\n\n"),)
    for source in sources(answer):
        runs = [
            _Run(source.title, "bold", "\n\n"),
            _Run(source.place(), "", "\n" if source.title else "\n\n"),
        ]
        head = [run for run in runs if run.text]
        gap = "\n" if head else "\n\n"
        for markers, quote in source.quotes:
            yield (*head, _Run(f"{markers} {quote}", "quote", gap))
            head, gap = [], "\n"


def _fitting(block: _Block, max_units: int) -> list[_Block]:
    """The block, or parts of it of which each fits; a heading stays with the first if it can."""
    if _units(block) <= max_units:
        return [block]
    parts = [part for run in block for part in _cut(run, max_units)]
    lead = next((n for n in range(len(block), 1, -1) if _units(parts[:n]) <= max_units), 1)
    return [tuple(parts[:lead]), *((part,) for part in parts[lead:])]


def _units(runs: Sequence[_Run]) -> int:
    """The length of the runs at the head of a message."""
    return sum(utf16_units(run.before + run.text) for run in runs) - len(runs[0].before)


def _pages(parts: Iterable[_Block], max_units: int) -> Iterator[list[_Run]]:
    """The parts in order, as many to a message as it takes."""
    page: list[_Run] = []
    units = entities = 0
    for part in parts:
        units += len(part[0].before) + _units(part)
        entities += sum(bool(run.kind and run.before) for run in part)
        if page and (units > max_units or entities >= TELEGRAM_ENTITIES):
            yield page
            page, units, entities = [], _units(part), len(part)
        page += part
    yield page


_LEVELS = (
    re.compile(r"\n\s*"),
    re.compile(
        r"[。！？!?；;…]+[”’」』》）)\]\"']*(?:\s*\[\d{1,4}\])*\s*"
        r"|\.[”’)\]\"']*(?:\s*\[\d{1,4}\])*\s+"
    ),
    re.compile(r"[，、：,:]+\s*|\s+"),
)


def _cut(run: _Run, max_units: int) -> list[_Run]:
    if not run.text:
        return []
    first, *rest = _pieces(run.text, max_units, _LEVELS)
    return [replace(run, text=first), *(replace(run, text=text, before="") for text in rest)]


def _pieces(text: str, max_units: int, levels: Sequence[re.Pattern[str]]) -> list[str]:
    """Pieces that fit and make up the text, each as large a unit of language as can be."""
    if utf16_units(text) <= max_units:
        return [text]
    if not levels:
        return _CLUSTER.findall(text)
    ends = (match.end() for match in levels[0].finditer(text))
    parts = (text[start:end] for start, end in pairwise([0, *ends, len(text)]) if start < end)
    return [piece for part in parts for piece in _pieces(part, max_units, levels[1:])]


def _message(runs: Iterable[_Run]) -> TelegramMessage:
    joined = _stripped(_joined(runs))
    markup = (
        run.before + _TAGS[run.kind][0] + html.escape(run.text, quote=False) + _TAGS[run.kind][1]
        for run in joined
    )
    return TelegramMessage("".join(markup), "".join(run.before + run.text for run in joined))


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """The runs, each put together with those that go on from it."""
    groups: list[list[_Run]] = []
    for run in runs:
        if groups and not run.before:
            groups[-1].append(run)
        elif run.text:
            groups.append([run])
    return [replace(group[0], text="".join(run.text for run in group)) for group in groups]


def _stripped(runs: Sequence[_Run]) -> list[_Run]:
    """The runs without whitespace at either end of the message."""
    kept = list(runs)
    while kept and not kept[0].text.strip():
        kept.pop(0)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[0] = replace(kept[0], text=kept[0].text.lstrip(), before="")
        kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
    return kept
