"""An Answer, an article and passages as Telegram messages: HTML that it accepts, cut to fit; pure.

Nothing is lost and nothing visible is changed, but for the sign of a marker: [1] becomes [¹].
Does not cover buttons, nor how a message gets to Telegram.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from bot.render import CLUSTER, MARKER, Source, harmless, one_line, sources
from rag.types import Answer, Article, Citation, Language, Passage

TELEGRAM_UNITS = 4096  # UTF-16 code units of one message, counted after its entities are parsed
TELEGRAM_ENTITIES = 100  # Telegram drops those that follow without a word
PAGE_UNITS = 2500  # of an article that is leafed through: what a phone shows in three screens
PASSAGES_A_PAGE = 3

_LABELS: dict[Language, dict[str, str]] = {
    "en": {
        "gloss": "Gloss: {}",
        "translation": "Machine translation ({by}): {}",
        "understood": "Understood as: {}",
    },
    "zh": {
        "gloss": "大意：{}",
        "translation": "机器翻译（{by}）：{}",
        "understood": "理解为：{}",
    },
}
_UNDERSTOOD_CHARS = 200
_HEADING_UNITS = 300
_TAGS = {
    "": ("", ""),
    "bold": ("<b>", "</b>"),
    "italic": ("<i>", "</i>"),
    "quote": ("<blockquote expandable>", "</blockquote>"),
    "said": ("<blockquote>", "</blockquote>"),
}
_RICH_BLOCKS = {"bold": "h4", "quote": "blockquote", "said": "blockquote"}
_RICH_INSIDE = {("p", "bold"): _TAGS["bold"], ("p", "italic"): _TAGS["italic"]}
_SAID_UNITS = 700  # of a quotation that is the answer itself: a phone folds others after 3 lines


@dataclass(frozen=True, slots=True)
class TelegramMessage:
    """One message: `html` to send, `text` as it stands once the entities are parsed.

    `rich` is the same text as a rich message (Bot API 10.1): headings, paragraphs, quotations.
    """

    html: str
    text: str
    rich: str = ""


_Kind = Literal["", "bold", "italic", "quote", "said"]


@dataclass(frozen=True, slots=True)
class _Run:
    """Text of one kind, with the whitespace `before` it; without, it goes on in the same line.

    `before` is dropped where a message begins.
    """

    text: str
    kind: _Kind = ""
    before: str = ""


_Block = tuple[_Run, ...]  # runs that stay in one message when they fit


def messages(answer: Answer, max_units: int = TELEGRAM_UNITS) -> list[TelegramMessage]:
    """The messages that carry an answer: the answer, then each cited article once with its quotes.

    A quote that is a line of the answer is shown as a quotation there, and not a second time; it
    is the answer, and so it is not folded unless it is long.
    A message holds at most `max_units` UTF-16 units of text. What is longer is cut between blocks,
    then paragraphs, sentences, clauses, at last characters; a part that fits whole is never cut.
    The texts put together are the unsplit text, but for whitespace at the seams.
    """
    return _cut_to_fit(_blocks(answer), max_units)


def words(text: str) -> TelegramMessage:
    """Our own words as a message; titles in them are made harmless, what is too long is cut off."""
    clean = harmless(text).strip()
    if utf16_units(clean) > TELEGRAM_UNITS:
        clean = _cut_to_fit([(_Run(clean),)], TELEGRAM_UNITS - 2)[0].text + " …"
    return TelegramMessage(html.escape(clean, quote=False), clean)


def preview(text: str) -> TelegramMessage:
    """The beginning of an answer under way, as much as one message holds."""
    shown = _cut_to_fit([(_Run(marked(harmless(text)).strip()),)], TELEGRAM_UNITS - 2)
    return words(f"{shown[0].text} …" if shown else "…")


def article_pages(article: Article, with_id: bool = False) -> list[TelegramMessage]:
    """A whole article, to leaf through; its heading stands on every page."""
    named = article.article_id if with_id else ""
    place = _place(article.date, article.source, article.byline, named)
    head = _heading(_clipped(one_line(article.title)), _clipped(place))
    room = PAGE_UNITS - (_units(head) if head else 0)
    text = harmless(article.text).strip()
    pages = _cut_to_fit([(_Run(text),)], room) or [TelegramMessage("", "")]
    return [_message([*head, _Run(page.text, "", "\n\n")]) for page in pages]


def passage_pages(passages: Sequence[Passage]) -> list[TelegramMessage]:
    """Passages that were found for a question, a few on a page."""
    pages = []
    for at in range(0, len(passages), PASSAGES_A_PAGE):
        blocks = [_passage(passage) for passage in passages[at : at + PASSAGES_A_PAGE]]
        pages += _cut_to_fit(blocks, TELEGRAM_UNITS)
    return pages


def passage_message(passage: Passage) -> TelegramMessage:
    """One passage that a person sends into a chat."""
    return _cut_to_fit([_passage(passage)], TELEGRAM_UNITS)[0]


def utf16_units(text: str) -> int:
    """The length that Telegram counts: a character outside the first plane counts twice."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# --- markers -------------------------------------------------------------------------------------

_SMALL = str.maketrans("[0123456789]", "[⁰¹²³⁴⁵⁶⁷⁸⁹]")


def marked(text: str) -> str:
    """The text with each marker, [1], with raised figures, [¹]; as long as it was."""
    return MARKER.sub(lambda match: match[0].translate(_SMALL), text)


# --- an answer as blocks -------------------------------------------------------------------------


def _blocks(answer: Answer) -> Iterator[_Block]:
    labels = _LABELS[answer.language]
    gap = ""
    if understood := one_line(answer.understood):
        yield (_Run(labels["understood"].format(_short(understood)), "italic"),)
        gap = "\n\n"
    text = harmless(answer.answer).strip()
    places = _quoted_in_place(text, answer.citations)
    glosses = {
        each.n: labels["translation" if each.translated_by else "gloss"].format(
            gloss, by=one_line(each.translated_by)
        )
        for each in answer.citations
        if (gloss := one_line(each.gloss))
    }
    yield from _body(text, places, gap, glosses)
    if note := harmless(answer.note).strip():
        yield (_Run(note, "italic", "\n\n"),)
    shown, gap = {place.citation.n for place in places}, "\n\n"
    for source in sources(answer):
        if not _told(source, text, shown):
            yield from _listed(source, shown, glosses)
        elif foot := _foot(source, text):
            yield (_Run(foot, "", gap),)
            gap = "\n"


def _short(text: str) -> str:
    return text if len(text) <= _UNDERSTOOD_CHARS else text[: _UNDERSTOOD_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Place:
    """A range of the answer that is a whole line of quotation, and how it is `said` there."""

    start: int
    end: int
    said: str
    citation: Citation


def _quoted_in_place(text: str, citations: Iterable[Citation]) -> list[_Place]:
    """The ranges of the answer that are whole lines of quotation, with what they quote."""
    places = [place for each in citations if (place := _place_of(each, text))]
    places.sort(key=lambda place: (place.start, place.end))
    return [at for n, at in enumerate(places) if not n or at.start >= places[n - 1].end]


def _place_of(citation: Citation, text: str) -> _Place | None:
    """Where a quotation is a line of the answer; there it keeps the lines of the article."""
    quote = harmless(citation.quote).strip()
    exact = r"\s*".join(map(re.escape, quote.split()))
    marks = rf"(?:\[\d+\])*\[{citation.n}\](?:\[\d+\])*"
    signs = (("“", "”"), ("「", "」"), ("", ""))
    for first, last in signs:
        line = re.compile(rf"^{first}{exact}{last} ?({marks})$", re.MULTILINE)
        if quote and (found := line.search(text)):
            said = f"{first}{quote}{last} {marked(found[1])}"
            return _Place(found.start(), found.end(), said, citation)
    return None


def _body(
    text: str, places: Sequence[_Place], gap: str, glosses: Mapping[int, str]
) -> Iterator[_Block]:
    """The answer's text; what leads to a quotation stays with it."""
    at = 0
    for place in places:
        runs: list[_Run] = []
        citation = place.citation
        if before := text[at : place.start].strip("\n"):
            runs += _lead(marked(before), marked(one_line(citation.title)), gap)
            gap = "\n"
        kind: _Kind = "said" if utf16_units(place.said) <= _SAID_UNITS else "quote"
        runs.append(_Run(place.said, kind, gap))
        if gloss := glosses.get(citation.n):
            runs.append(_Run(gloss, "italic", "\n"))
        yield tuple(runs)
        at, gap = place.end, "\n"
    if rest := text[at:].strip("\n") if places else text:
        yield (_Run(marked(rest), "", gap),)


def _lead(text: str, title: str, gap: str) -> list[_Run]:
    """What leads to a quotation; the article's title in its last line is bold."""
    at = text.rfind(title) if title else -1
    if at <= text.rfind("\n"):
        return [_Run(text, "", gap)]
    parts = [_Run(text[:at], "", gap), _Run(title, "bold"), _Run(text[at + len(title) :])]
    if not parts[0].text:
        parts = [replace(parts[1], before=gap), parts[2]]
    return [part for part in parts if part.text]


def _told(source: Source, text: str, shown: set[int]) -> bool:
    """Whether the answer names an article itself and quotes all that it cites of it."""
    return source.title in text and not any(
        shown.isdisjoint(_numbers(markers)) for markers, _ in source.quotes
    )


def _foot(source: Source, text: str) -> str:
    """A line for an article that the answer has told: what it left out of date and source."""
    date = "" if source.date in text else source.date
    place = " · ".join(filter(None, (date, source.source)))
    return marked("".join(markers for markers, _ in source.quotes)) + f" {place}" if place else ""


def _listed(source: Source, shown: set[int], glosses: Mapping[int, str]) -> Iterator[_Block]:
    """A cited article: its heading, and the quotes that the answer doesn't show itself."""
    head = _heading(source.title, source.place())
    gap = "\n" if head else "\n\n"
    for markers, quote in source.quotes:
        runs, head = head, []
        if shown.isdisjoint(_numbers(markers)):
            runs.append(_Run(f"{marked(markers)} {quote}", "quote", gap))
            gap = "\n"
            if gloss := glosses.get(_numbers(markers)[0]):
                runs.append(_Run(gloss, "italic", "\n"))
        if runs:
            yield tuple(runs)


def _numbers(markers: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", markers)]


def _heading(title: str, place: str) -> list[_Run]:
    runs = [_Run(title, "bold", "\n\n"), _Run(place, "", "\n" if title else "\n\n")]
    return [run for run in runs if run.text]


def _passage(passage: Passage) -> _Block:
    head = _heading(one_line(passage.title), _place(passage.date, passage.source))
    return (*head, _Run(harmless(passage.text).strip(), "quote", "\n" if head else "\n\n"))


def _place(*parts: str) -> str:
    return " · ".join(line for part in parts if (line := one_line(part)))


def _clipped(line: str) -> str:
    """A line of the heading that stands on every page of an article."""
    if utf16_units(line) <= _HEADING_UNITS:
        return line
    return _cut_to_fit([(_Run(line),)], _HEADING_UNITS)[0].text + "…"


# --- cutting -------------------------------------------------------------------------------------


def _cut_to_fit(blocks: Iterable[_Block], max_units: int) -> list[TelegramMessage]:
    parts = (part for block in blocks for part in _fitting(block, max_units))
    found = (_message(page) for page in _pages(parts, max_units))
    return [message for message in found if message.text]


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
        last = page[-1] if page else _Run("")
        entities += sum(
            bool(run.kind) and _begins(run, before) for before, run in pairwise([last, *part])
        )
        if page and (units > max_units or entities >= TELEGRAM_ENTITIES):
            yield page
            page, units, entities = [], _units(part), len(part)
        page += part
    yield page


def _begins(run: _Run, last: _Run) -> bool:
    """Whether a run is no part of the one before it, which was cut."""
    return bool(run.before) or run.kind != last.kind


_CLUSTER = re.compile(rf"\[[⁰¹²³⁴-⁹]{{1,4}}\]|{CLUSTER.pattern}", re.DOTALL)
_LEVELS = (
    re.compile(r"\n\s*"),
    re.compile(
        r"[。！？!?；;…]+[”’」』》）)\]\"']*(?:\s*\[[⁰¹²³⁴-⁹]{1,4}\])*\s*"
        r"|\.[”’)\]\"']*(?:\s*\[[⁰¹²³⁴-⁹]{1,4}\])*\s+"
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
    text = "".join(run.before + run.text for run in joined)
    return TelegramMessage("".join(markup), text, _rich(joined))


def _rich(runs: Sequence[_Run]) -> str:
    """The runs as rich HTML: what stands in a line together is one block.

    Source: core.telegram.org/bots/api#rich-message-formatting-options
    """
    blocks: list[list[_Run]] = []
    for run in runs:
        if blocks and not run.before:
            blocks[-1].append(run)
        else:
            blocks.append([run])
    return "".join(_rich_block(block) for block in blocks)


def _rich_block(runs: Sequence[_Run]) -> str:
    tag = _RICH_BLOCKS.get(runs[0].kind, "p") if len(runs) == 1 else "p"
    inside = "".join(
        first + html.escape(run.text, quote=False) + last
        for run in runs
        for first, last in [_RICH_INSIDE.get((tag, run.kind), ("", ""))]
    )
    # A rich message folds line ends like a browser: each is said.
    lines = inside.replace("\n", "<br>")
    return f"<{tag}>{lines}</{tag}>"


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """The runs, each put together with those that go on from it."""
    groups: list[list[_Run]] = []
    for run in runs:
        if groups and not _begins(run, groups[-1][0]):
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
