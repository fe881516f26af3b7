"""Prints made-up newspaper pages in many layouts.

`printed` sets articles as a page: hard-wrapped or one line a paragraph, with or without blank
lines, kickers, bylines of many forms, captions, furniture, paragraphs cut by column ends, tails
away from their heads. The same random state gives the same page. It remembers whose every range
of the page is, so that paper_scores.py can tell a whole article from one with a foreign fragment.

Page text only: `pagemaker` lays out one page from a plan; here the plan is drawn too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random

from pagemaker import PageArticle, mid_sentence_offsets
from paper_lines import DATA, PLACES, clause, column, drawn, english, forms, person

_TAILS = (0, 1, 1, 1, 2, 2, 3)  # displaced tails a page
STRANGER = -1  # owner of a tail whose head is on another page


@dataclass(frozen=True, slots=True)
class Style:
    """How a page is set."""

    name: str
    between: str = "\n\n"  # between paragraphs
    around: str = "\n\n"  # between articles
    indent: str = ""
    width: int = 0  # characters a line; 0: one line a paragraph
    half_width: bool = False
    english: bool = False


STYLES = (
    Style("blank lines"),
    Style("blank lines, half-width", half_width=True),
    Style("no blank lines", "\n", "\n"),
    Style("no blank lines, indented", "\n", "\n", "　　"),
    Style("blank line at articles", "\n", "\n\n"),
    Style("wrapped, indented", "\n", "\n", "　　", 22),
    Style("wrapped, blank lines", "\n\n", "\n\n", "", 28),
    Style("wrapped", "\n", "\n", "", 19),
    Style("English words", english=True),
)
_HALF = str.maketrans("，：；（）？！", ",:;()?!")


@dataclass(frozen=True, slots=True)
class Mood:
    """How often a page does what: drawn once a page, for pages have habits."""

    signed: float  # articles with a byline or a reporter in the text
    short: float  # articles cut down to their first paragraphs
    renamed: float  # articles under a title that isn't their own
    divided: float  # long articles with sub-headings put in
    kickers: float
    subtitles: float
    captions: float
    columns: float  # articles with a column's name over them
    cut: float  # paragraphs cut by a column end
    strays: int  # lines of furniture in the midst of the page
    torn: bool  # whether articles may be torn
    briefs: bool  # nothing but short items of one paragraph


def _mood(rng: Random) -> Mood:
    return Mood(
        signed=rng.choice((0.0, 0.4, 0.9, 1.0)),
        short=rng.choice((0.0, 0.0, 0.2, 0.6)),
        renamed=rng.choice((0.0, 0.0, 0.2, 0.5)),
        divided=rng.choice((0.0, 0.0, 0.25, 0.6)),
        kickers=rng.choice((0.0, 0.0, 0.0, 0.08)),
        subtitles=rng.choice((0.0, 0.0, 0.05, 0.1)),
        captions=rng.choice((0.0, 0.1, 0.3)),
        columns=rng.choice((0.0, 0.25, 0.25, 0.6)),
        cut=rng.choice((0.0, 0.25, 0.25, 0.4)),
        strays=rng.choice((0, 0, 1, 1, 2, 4)),
        torn=rng.random() < 0.8,
        briefs=rng.random() < 0.08,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of the page; `owner` is the article whose body it is, None for all else."""

    text: str
    role: str = "BODY"
    owner: int | None = None
    at: int = 0  # where it begins in its article
    apart: bool = False  # the first block of a heading, a column name: more space before it
    close: bool = False  # no blank line before it: the second line of a title


@dataclass(frozen=True, slots=True)
class Range:
    """`page[start:end]` is of this article's body, from its offset `at` on."""

    start: int
    end: int
    owner: int
    at: int


@dataclass(frozen=True, slots=True)
class Paper:
    """A printed page and the truth about it. `tails`: article -> offset at which it was torn."""

    text: str
    style: str
    articles: tuple[PageArticle, ...]
    ranges: tuple[Range, ...]
    roles: tuple[tuple[int, int, str], ...]  # start, end and role of every line
    tails: dict[int, int] = field(default_factory=dict)


# --- articles to print ---------------------------------------------------------------------------


def own_articles(*names: str) -> list[PageArticle]:
    """Those of the repository: `sample`, `fit`, `taught`."""
    found: list[PageArticle] = []
    for name in names:
        sample = name == "sample"
        path = DATA / ("sample/articles.jsonl" if sample else f"tuning/{name}.passages.jsonl")
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found += [_sample(row) if sample else _tuning(row) for row in rows]
    return found


def fitting_articles(*more: Path) -> list[PageArticle]:
    """All that weights may be fitted on: the tuning articles but for `fit`, and files like them."""
    tuning = sorted((DATA / "tuning").glob("*.passages.jsonl"))
    paths = [*(path for path in tuning if path.stem != "fit.passages"), *more]
    rows = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return [_tuning(json.loads(row)) for row in rows]


def _sample(row: dict[str, str]) -> PageArticle:
    return PageArticle(row["title"], row["text"], row["subtitle"], row["byline"])


def _tuning(row: dict[str, str]) -> PageArticle:
    title, dash, subtitle = row["title"].partition("——")
    first, _, rest = row["text"].partition("\n")
    is_byline = len(first) < 40 and re.search("记者|通讯员", first)
    byline, text = (first, rest) if is_byline else ("", row["text"])
    return PageArticle(title, text, f"——{subtitle}" if dash and title else "", byline)


# --- a page --------------------------------------------------------------------------------------


def printed(
    articles: Sequence[PageArticle],
    rng: Random,
    style: Style,
    *,
    stranger: PageArticle | None = None,
    stranger_at: int | None = None,
    away: tuple[int, str] | None = None,
    marks: tuple[str, str] = ("", ""),
    tails: Sequence[int] = _TAILS,
) -> Paper:
    """A page of these articles, drawn at random; of the stranger it has a tail only.

    Where that begins may be given. `away` are the number of an article that goes on on another
    page and the words after which it does; `marks` are put to its end and to the stranger.
    """
    mood = _mood(rng)
    articles = [
        _dressed(_shortened(article, rng) if rng.random() < mood.short else article, rng, mood)
        for article in articles
    ]
    if style.half_width:
        articles = [_in_half_width(article) for article in articles]
    if style.english:
        articles = [_inenglish(article, rng) for article in articles]
    torn = _torn(articles, rng, tails) if mood.torn else {}
    if away is not None:
        number, words = away
        text, _, rest = articles[number].text.partition(words)
        articles[number] = replace(articles[number], text=text + words if rest else text)
        torn.pop(number, None)
    lost = rng.choice(list(torn)) if torn and rng.random() < 0.06 else None
    if lost is not None:  # its tail is on another page
        article = articles[lost]
        articles[lost] = replace(article, text=article.text[: torn.pop(lost)])
    alone = away is None and stranger_at is None  # else marks are for other pages
    groups = [
        _group(n, article, torn.get(n), rng, mood, alone) for n, article in enumerate(articles)
    ]
    if away is not None and articles[away[0]].text.endswith(away[1]):
        _mark_last(groups[away[0]], marks[0])
    for number, at in torn.items():
        tail = _pieces(number, articles[number].text, at, None, rng, mood.cut)
        if rng.random() < 0.2:
            tail.insert(0, Piece(column(rng), "HEADER", apart=True))
        elif rng.random() < 0.1 and alone:
            tail[0] = replace(tail[0], text=f"（上接第{rng.randint(1, 4)}版）{tail[0].text}")
        own = next(i for i, group in enumerate(groups) if any(p.owner == number for p in group))
        slots = [slot for slot in range(len(groups) + 1) if slot != own + 1]
        groups.insert(rng.choice(slots), tail)
    if stranger is not None:
        late = [o for o in cuts(stranger.text) if o > len(stranger.text) // 3]
        at = rng.choice(late) if stranger_at is None else stranger_at
        tail = _pieces(STRANGER, stranger.text, at, None, rng, mood.cut)
        tail[0] = replace(tail[0], text=marks[1] + tail[0].text)
        groups.insert(rng.randint(0, len(groups)), tail)
    pieces = [piece for group in groups for piece in group]
    return _set(_furnished(pieces, rng, mood), articles, torn, style)


def _mark_last(group: list[Piece], mark: str) -> None:
    """Puts a mark behind the last block of an article."""
    last = max(i for i, piece in enumerate(group) if piece.owner is not None)
    group[last] = replace(group[last], text=group[last].text + mark)


def _torn(articles: Sequence[PageArticle], rng: Random, tails: Sequence[int]) -> dict[int, int]:
    """Which articles have a displaced tail, and where they are torn."""
    wanted = rng.choice(tails) if len(articles) > 2 else 0
    torn: dict[int, int] = {}
    for number in rng.sample(range(len(articles)), wanted):
        text = articles[number].text
        offsets = [o for o in cuts(text) if len(text) // 4 < o < len(text) - 25]
        if offsets:
            torn[number] = rng.choice(offsets)
    return torn


def cuts(text: str) -> list[int]:
    """Where a column may end; half-width marks are like full-width ones."""
    offsets = [o for o in mid_sentence_offsets(text) if "\n" not in text[o - 2 : o + 2]]
    if text.isascii():
        return [o for o in offsets if text[o - 1] == " "]
    return offsets


def _shortened(article: PageArticle, rng: Random) -> PageArticle:
    """Its first paragraphs."""
    paragraphs = article.text.split("\n")
    return replace(article, text="\n".join(paragraphs[: rng.randint(1, 3)]))


def _dressed(article: PageArticle, rng: Random, mood: Mood) -> PageArticle:
    """The article with another title, its byline elsewhere, or with sub-headings."""
    if mood.briefs:
        return _brief(article, rng)
    if rng.random() < mood.renamed:
        kind = rng.choice(("title", "title form"))
        article = replace(article, title=drawn(kind, rng, article.text), subtitle="")
    if not article.subtitle and rng.random() < mood.subtitles:
        kind = rng.choice(("subtitle", "subtitle", "subtitle form"))
        article = replace(article, subtitle=drawn(kind, rng, article.text))
    if rng.random() > mood.signed:
        article = replace(article, byline="")
    elif not article.byline and not re.match(r"本报|新华社|[（(]", article.text):
        article = _signed(article, rng)
    elif rng.random() < 0.5:
        article = replace(article, byline=drawn("byline", rng))
    paragraphs = article.text.split("\n")
    if len(paragraphs) > 4 and rng.random() < mood.divided:
        for place, head in zip(_places(len(paragraphs), rng), _subheads(rng), strict=False):
            paragraphs.insert(place, head)
    return replace(article, text="\n".join(paragraphs))


def _brief(article: PageArticle, rng: Random) -> PageArticle:
    """The article's first paragraph, mostly under a title of a few characters."""
    titles = [title for title in forms()["title"] if len(title) < 9]
    title = rng.choice((article.title, rng.choice(titles), rng.choice(titles)))
    opener = rng.choice(("", "", "本报讯 ", f"本报讯（记者 {person(rng)}）"))
    return PageArticle(title, opener + article.text.partition("\n")[0])


def _places(paragraphs: int, rng: Random) -> list[int]:
    """Up to three places for sub-headings, from the last to the first; never below another."""
    places = [place for place in range(paragraphs - 1, -1, -1) if rng.random() < 0.35]
    return [a for a, b in zip(places, [*places, -1][1:], strict=True) if a > b + 1][:3]


def _subheads(rng: Random) -> list[str]:
    """Three sub-headings, the last one first."""
    heads = rng.sample(forms()["subhead"], 3)
    if rng.random() < 0.15:
        sign = rng.choice("看谋问")
        pairs = zip(("长远", "眼前", "全局"), heads, strict=True)
        heads = [f"{sign}{a}——{b}" for a, b in pairs]
    return heads


def _signed(article: PageArticle, rng: Random) -> PageArticle:
    """The article with a reporter: over the text, in its opener or behind it."""
    one, other = person(rng), person(rng)
    day, place = f"{rng.randint(1, 12)}月{rng.randint(1, 28)}日", rng.choice(PLACES)
    openers = (
        f"本报讯（记者 {one}）",
        f"本报讯 记者{one}报道：",
        f"新华社{place}{day}电（记者{one}、{other}）",
        f"新华社{place}{day}电 ",
        f"据新华社{place}{day}电 ",
        f"本报{place}{day}讯 （记者{one}）",
        f"【本报讯】（{one} {other}）",
        f"中新社{place}{day}电（记者 {one}）",
    )
    closers = (f"（{one}）", f"（{one} {other}）", f"（本报记者 {one}）", f"（记者{one}）")
    where = rng.choice(("above", "above", "opener", "behind", "both"))
    if where == "behind":
        return replace(article, text=article.text + rng.choice(closers))
    byline = "" if where == "opener" else drawn("byline", rng)
    opener = "" if where == "above" else rng.choice(openers)
    return replace(article, byline=byline, text=opener + article.text)


def _inenglish(article: PageArticle, rng: Random) -> PageArticle:
    """The article in words of English: its shape, not its sense."""
    byline = article.byline and drawn("english byline", rng)
    text = "\n".join(map(english, article.text.split("\n")))
    return PageArticle(english(article.title), text, english(article.subtitle), byline)


def _in_half_width(article: PageArticle) -> PageArticle:
    return PageArticle(
        article.title.translate(_HALF),
        article.text.translate(_HALF),
        article.subtitle.translate(_HALF),
        article.byline.translate(_HALF),
    )


def _group(
    number: int, article: PageArticle, torn: int | None, rng: Random, mood: Mood, alone: bool
) -> list[Piece]:
    """Column name, heading and the body down to where it is torn."""
    heading = _heading(article, rng, mood)
    body = _pieces(number, article.text, 0, torn, rng, mood.cut)
    if rng.random() < mood.captions:
        caption = Piece(drawn("caption", rng, article.text), "FURNITURE")
        body.insert(rng.randint(0, len(body)), caption)
    if torn is not None and rng.random() < 0.1 and alone:
        body[-1] = replace(body[-1], text=body[-1].text + f"（下转第{rng.randint(2, 8)}版）")
    if rng.random() < mood.columns:
        heading.insert(0, Piece(column(rng), "HEADER", apart=True))
    return heading + body


def _heading(article: PageArticle, rng: Random, mood: Mood) -> list[Piece]:
    """Title, subtitle and byline; the title sometimes in two lines."""
    lines = _broken(article.title, rng)
    close = rng.random() < 0.4
    found = [
        Piece(line, "TITLE", apart=i == 0, close=i > 0 and close)
        for i, line in enumerate(lines)
        if line
    ]
    if article.title and rng.random() < mood.kickers:
        own = " ".join(clause(article.text, rng) for _ in range(rng.randint(2, 3)))
        kicker = rng.choice((own, drawn("kicker", rng)))
        found = [Piece(kicker, "KICKER", apart=True), *found]
    if article.subtitle:
        found.append(Piece(article.subtitle, "SUBTITLE"))
    if article.byline:
        found.append(Piece(article.byline, "BYLINE"))
    return found


def _broken(title: str, rng: Random) -> list[str]:
    """The title in one line or in two, mostly broken where a space or a mark stands."""
    spaces = [m.end() for m in re.finditer(r"(?<=.{4})[ ，：？！](?=.{4})", title)]
    anywhere = range(len(title) // 2 - 2, len(title) // 2 + 3) if len(title) > 16 else ()
    breaks = spaces if spaces and rng.random() < 0.8 else anywhere
    if not breaks or rng.random() > (0.4 if breaks is spaces else 0.1):
        return [title]
    at = rng.choice(breaks)
    return [title[:at].rstrip(" "), title[at:]]


def _pieces(
    number: int, text: str, start: int, end: int | None, rng: Random, cut: float
) -> list[Piece]:
    """The paragraphs of `text[start:end]`, some cut in mid-sentence by a column end."""
    end = len(text) if end is None else end
    possible = set(cuts(text))
    pieces: list[Piece] = []
    at = start
    for line in text[start:end].split("\n"):
        paragraph = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
        least = 5 if rng.random() < 0.1 else 14
        inside = [o for o in range(at + least, at + len(line) - 5) if o in possible]
        bounds = [at, at + len(line)]
        if len(line) >= 40 and inside and rng.random() < cut:
            bounds.insert(1, rng.choice(inside))
        for left, right in pairwise(bounds):
            if text[left:right].strip():
                role = "SUBHEAD" if _is_subhead(paragraph) else "BODY"
                pieces.append(Piece(text[left:right], role, number, left))
        at += len(line) + 1
    return pieces


def _is_subhead(line: str) -> bool:
    return (len(line) < 26 and not re.search("[。！？!?；;：:…”）.)]$", line)) or line in forms()[
        "subhead"
    ]


def _furnished(pieces: list[Piece], rng: Random, mood: Mood) -> list[Piece]:
    """The page with its date line, editors and page numbers, some of them in the midst of it."""
    tops = [drawn("dateline", rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))]
    feet = [drawn("furniture", rng) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    top = [Piece(line, "FURNITURE", apart=True) for line in tops]
    found = [*pieces, *(Piece(line, "FURNITURE", apart=True) for line in feet)]
    for _ in range(mood.strays):
        stray = drawn(rng.choice(("furniture", "furniture", "dateline")), rng)
        found.insert(rng.randint(1, len(found)), Piece(stray, "FURNITURE"))
    return top + found if rng.random() < 0.8 else [*found, *top]


def _set(
    pieces: Sequence[Piece], articles: Sequence[PageArticle], torn: dict[int, int], style: Style
) -> Paper:
    """The page's text, and whose each range of it is."""
    page: list[str] = []
    ranges: list[Range] = []
    roles: list[tuple[int, int, str]] = []
    position = 0
    for i, piece in enumerate(pieces):
        text = piece.text
        is_paragraph = piece.owner is not None and (not piece.at or _begins(piece, articles))
        gap = "\n" if piece.close else style.around if piece.apart else style.between
        gap = gap if i else ""
        page.append(gap + (style.indent if is_paragraph else ""))
        position += len(page[-1])
        lines = _wrapped(text, style, indented=is_paragraph) if piece.owner is not None else [text]
        at = piece.at
        for j, line in enumerate(lines):
            page.append(("\n" if j else "") + line)
            position += len(page[-1])
            roles.append((position - len(line), position, piece.role))
            if piece.owner is not None:
                ranges.append(Range(position - len(line), position, piece.owner, at))
            at += len(line)
    page.append("\n")
    return Paper("".join(page), style.name, tuple(articles), tuple(ranges), tuple(roles), torn)


def _begins(piece: Piece, articles: Sequence[PageArticle]) -> bool:
    if piece.owner is None:
        return False
    return piece.owner == STRANGER or articles[piece.owner].text[piece.at - 1] == "\n"


def _wrapped(text: str, style: Style, *, indented: bool) -> list[str]:
    """The lines of a paragraph; a final mark hangs rather than begins a line."""
    if not style.width:
        return [text]
    lines: list[str] = []
    rest, room = text, style.width - (len(style.indent) if indented else 0)
    while len(rest) > room:
        cut = room + (rest[room] in "。，、：；？！”）》,.:;?!)")
        lines.append(rest[:cut])
        rest, room = rest[cut:], style.width
    return [*lines, rest] if rest else lines


def papers(
    pool: Sequence[PageArticle], seeds: Iterable[int], tails: Sequence[int] = _TAILS
) -> Iterator[Paper]:
    """A page for each seed, the styles in turn; one in twenty has a stranger's tail."""
    for seed in seeds:
        rng = Random(seed)
        chosen = rng.sample(pool, min(len(pool), rng.randint(1, 9)))
        stranger = chosen.pop() if len(chosen) > 2 and rng.random() < 0.05 else None
        yield printed(chosen, rng, STYLES[seed % len(STYLES)], stranger=stranger, tails=tails)
