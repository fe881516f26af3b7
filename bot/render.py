"""An Answer as each door shows it: JSON, plain text, terminal; pure.

Articles, replies of models and questions are untrusted: what a person reads is made `harmless` and
escaped; what a program reads (JSON) is verbatim. Makes no links and asks nobody anything.
Telegram has a room of its own (render_telegram.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from rag.types import Answer, Article, Citation, Fragment, Hit, Language

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
        "score": round(float(citation.score), 4),
        "gloss": citation.gloss,
        "translated_by": citation.translated_by,
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
        "score": round(float(hit.score), 4),
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
        "fragments": [_fragment_json(part) for part in article.fragments],
        "path": article.path,
        "also_in": [asdict(printing) for printing in article.also_in],
    }


def _fragment_json(part: Fragment) -> dict[str, object]:
    """A fragment; one on another page of the issue says in which file."""
    where = {"path": part.path} if part.path else {}
    return {"start": part.start, "end": part.end, **where}


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
CLUSTER = re.compile(  # a whole marker, or what a reader takes for one character
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
        title=one_line(first.title),
        date=one_line(first.date),
        source=one_line(first.source),
        quotes=tuple(
            ("".join(f"[{citation.n}]" for citation in same), harmless(same[0].quote).strip())
            for same in quotes
        ),
    )


def one_line(text: str) -> str:
    """The text, harmless and on one line."""
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


_LABELS: dict[Language, dict[str, str]] = {
    "en": {
        "gloss": "gloss: ",
        "translation": "machine translation ({}): ",
        "understood": "understood as: ",
    },
    "zh": {"gloss": "大意：", "translation": "机器翻译（{}）：", "understood": "理解为："},
}


@dataclass(frozen=True, slots=True)
class _Page:
    answer: Answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, TERMINAL_CELLS)
        answer = harmless(self.answer.answer).strip()
        if understood := one_line(self.answer.understood):
            lead = _LABELS[self.answer.language]["understood"]
            yield from _hanging(lead, understood, width, "dim", "dim")
        if self.answer.abstained:
            yield from _hanging("✗ ", answer, width, "yellow", "yellow")
        else:
            yield from self._answer(answer, width)
        if note := harmless(self.answer.note).strip():
            yield Text()
            yield from _hanging("! ", note, width, "yellow", "yellow")
        for source in sources(self.answer):
            quoted = [markers for markers, quote in source.quotes if _stands_in(quote, answer)]
            yield Text()
            yield from _heading(source, "".join(quoted), width)
            for markers, quote in source.quotes:
                if markers not in quoted:
                    yield from _hanging(f"  {markers} ", quote, width, "bold cyan", "")
                    yield from self._glosses(markers, "  " + " " * cell_len(markers), width)

    def _answer(self, answer: str, width: int) -> Iterator[Text]:
        """The answer line by line, each quote in it with its gloss."""
        quotes = {f"[{c.n}]": harmless(c.quote) for c in self.answer.citations}
        for said in answer.split("\n"):
            for line in _hanging("", said, width, "", ""):
                line.highlight_regex(MARKER, "bold cyan")
                yield line
            quoted = [m for m in MARKER.findall(said) if _stands_in(quotes.get(m, said + m), said)]
            yield from self._glosses("".join(quoted), "", width)

    def _glosses(self, markers: str, indent: str, width: int) -> Iterator[Text]:
        """What the quotes of some markers hold, for whom can't read them."""
        labels = _LABELS[self.answer.language]
        for citation in self.answer.citations:
            if citation.gloss and f"[{citation.n}]" in markers:
                by = one_line(citation.translated_by)
                label = labels["translation"].format(by) if by else labels["gloss"]
                lead = f"{indent} {label}"
                yield from _hanging(
                    lead, one_line(citation.gloss), width, "dim italic", "dim italic"
                )


def _stands_in(quote: str, answer: str) -> bool:
    """Whether an answer quotes this already: an extract needn't be printed twice."""
    return "".join(quote.split()) in "".join(answer.split())


def _heading(source: Source, quoted: str, width: int) -> Iterator[Text]:
    """Title and place, behind the markers of the quotes that stand in the answer already."""
    lead = f"{quoted} " if quoted else ""
    head = " · ".join(part for part in (source.title, source.place()) if part)
    left = len(source.title)  # characters of the title that are still to come
    for line in _hanging(lead, head, width, "bold cyan", "dim"):
        begin = len(lead)
        end = begin + max(0, min(left, len(line) - begin))
        line.stylize("not dim bold", begin, end)
        left -= end - begin
        yield line


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
    for cluster in CLUSTER.findall(token):
        cells = cell_len(cluster)
        if parts[-1] and used + cells > width:
            parts.append("")
            used = 0
        parts[-1] += cluster
        used += cells
    return parts
