"""How a line that might be a heading looks, and how the texts around it begin and end.

More cues, of the kind that cues.py gives: here are the words of bylines, furniture and openings,
parts of speech, and a line's place in a run of short lines. Does not cover likeness of texts
(cues.py).
"""

import math
import re
from collections.abc import Sequence, Set

from rag.layout.blocks import Block
from rag.layout.cues import Cues
from rag.words.names import segmented

# --- patterns. Each is linear: no nested or adjacent unbounded repeats. --------------------------

_REPORTER = re.compile(r"记者|通讯员|评论员|特约|实习生|撰稿|撰文|采写|编辑部|整理|口述|作者")
_SLASHED = re.compile(r"(?:文|图|摄影|摄|编辑|制图)\s?[/／:：]|[/／](?:文|图|摄|制图)")
_SIGNED = re.compile(r"[（(][^（()）。，]{2,24}[)）]$")
_SERVICE = re.compile(
    r"热线|电话|邮箱|邮编|邮政|网址|网站|地址|社址|扫码|扫一扫|二维码|公众号|客户端|微信|微博|订阅|发行|印刷"
    r"|定价|零售|广告|刊号|邮发|投稿|传真|编辑|责编|校对|美编|版式|组版|值班|审读|法律顾问|@|www|http"
)
_PICTURED = re.compile(
    r"摄[)）]?$|摄影报道|供图|提供[)）]?$|资料图|资料片|新华社发|图[①-⑩一二三]|^[▲△▼↑←→]"
)
_WHEN = re.compile(
    r"\d{1,2}[月日]|[今昨明][天日晚晨年]|近日|日前|去年|连日|凌晨|清晨|早上|上午|中午|下午|傍晚|晚上"
    r"|[春夏秋冬]|记者|据悉|获悉|了解到|[一二三四五六七八九十]月"
)
_WHERE = re.compile(r"[省市县区州盟旗镇乡村港岛]")
_SAID = re.compile(r"说|表示|介绍|认为|指出|告诉|建议|提出|坦言|回忆|透露|强调|称|问|答|：|:")
_BACK = re.compile(
    r"这|那|该|此|他|她|它|其|同时|另外|此外|据介绍|据了解|为此|对此|不过|但|而|也|还|随后|之后|之前|目前|如今"
    r"|下一步|截至|最后|首先|其次|第[二三四五六七]|[二三四五六]是|与此|除了|除此|“"
)
_NUMBER = re.compile(r"\d")
_GAPS = re.compile(r"[ \u3000]+")
_ASKED = re.compile(r"(?:[问答]|记者|[QA])[:：]")
_SHORT_RUN = 6
_LABEL = 8  # characters: what is shorter, over a longer line, is hardly a title
_SIGNS = {
    "byline": frozenset({"byline", "names", "reporter", "slashed", "bracketed", "latin"}),
    "furniture": frozenset(
        {"furniture", "nothing", "mostly furniture", "credit", "caption", "service", "pictured"}
    ),
    "column": frozenset({"section", "column", "bullet", "mostly furniture", "halves"}),
}


def looks_of(blocks: Sequence[Block], cues: Sequence[Cues]) -> list[Cues]:
    """More cues of each block whose own cues call it short; none of the others."""
    found = [_words(b) if "short" in own else {} for b, own in zip(blocks, cues, strict=True)]
    for own, more in zip(cues, found, strict=True):
        more.update(_missing(own.keys() | more.keys()) if more else {})
    solid = [i for i, own in enumerate(cues) if "nothing" not in own]
    runs = _runs(solid, cues)
    plain = [not _is_marked(run, below, cues, found) for run, _, below in runs]
    marked = plain.count(False)
    for (run, above, below), is_plain in zip(runs, plain, strict=True):
        around = _around(blocks, above, below)
        if is_plain:
            around |= {"plain": 1.0, "plain of many": marked / len(runs)}
            around["plain beside marked"] = min(1.0, marked / 4)
        for place, i in enumerate(run):
            found[i] |= around | _placed(place, run, blocks)
    return found


def _placed(place: int, run: Sequence[int], blocks: Sequence[Block]) -> Cues:
    """Where a line stands in a run of short ones, and its size beside its neighbours'."""
    last = min(len(run) - 1 - place, _SHORT_RUN)
    cues = {f"run {min(place, 3)} of {min(len(run), 4)}": 1.0, f"to text {min(last, 3)}": 1.0}
    own = blocks[run[place]].size
    if place:
        cues["beside above"] = _times(own, blocks[run[place - 1]].size)
    if last:
        below = blocks[run[place + 1]].size
        cues["beside below"] = _times(own, below)
        if own < _LABEL and _times(below, own) > 0.35:
            cues["label"] = 1.0
    return cues


def _times(size: float, other: float) -> float:
    """Log of how many times as long a line is as another, -1.5 to 1.5."""
    return max(-1.5, min(1.5, math.log((1 + size) / (1 + other))))


def _is_marked(
    run: Sequence[int], below: Sequence[int], cues: Sequence[Cues], found: Sequence[Cues]
) -> bool:
    """Whether a byline, a dash line or an opening dateline shows that the run is a heading."""
    is_signed = any(
        cues[i].keys() & {"byline", "dash", "names"} or "reporter" in found[i] for i in run[1:]
    )
    return is_signed or (bool(below) and "opener" in cues[below[0]])


def _runs(
    solid: Sequence[int], cues: Sequence[Cues]
) -> list[tuple[list[int], list[int], list[int]]]:
    """Neighbouring short lines, with the long blocks above and below them, the nearest first."""
    runs: list[tuple[list[int], list[int], list[int]]] = []
    above: list[int] = []
    run: list[int] = []
    below: list[int] = []
    for i in solid:
        if _is_short(cues[i]):
            if below or not run:
                if run:
                    runs.append((run, above[::-1], below))
                above, run, below = (below if run else above), [], []
            run.append(i)
        elif run:
            below.append(i)
        else:
            above.append(i)
    if run:
        runs.append((run, above[::-1], below))
    return runs


def _is_short(cues: Cues) -> bool:
    return "short" in cues and not cues.keys() & {"final", "opener"}


def _around(blocks: Sequence[Block], above: Sequence[int], below: Sequence[int]) -> Cues:
    """How the text above ends, how the text below begins, and how much of each there is."""
    cues: Cues = {}
    if above:
        last = blocks[above[0]]
        if _SIGNED.search(last.text[-30:]):
            cues["signed above"] = 1.0
        cues["much above"] = min(1.0, math.log(1 + sum(blocks[i].size for i in above)) / 7)
        cues["one above"] = float(len(above) == 1)
    if below:
        first = blocks[below[0]].text
        cues["when below"] = float(bool(_WHEN.search(first[:30])))
        cues["where below"] = min(2, len(_WHERE.findall(first[:30]))) / 2
        cues["said below"] = float(bool(_SAID.search(first[:30])))
        cues["back below"] = float(bool(_BACK.match(first)))
        cues["much below"] = min(1.0, math.log(1 + sum(blocks[i].size for i in below)) / 7)
        cues["one below"] = float(len(below) == 1)
    return {name: value for name, value in cues.items() if value}


def _missing(cues: Set[str]) -> Cues:
    """Which roles nothing in a line's words speaks for."""
    return {f"no {role}": 1.0 for role, signs in _SIGNS.items() if not cues & signs}


def _words(block: Block) -> Cues:
    """What a line's words and marks show."""
    text = block.text
    parts = _GAPS.split(text)
    tags = [tag for _, word, tag in segmented(text[:60]) if word.strip()]
    digits = len(_NUMBER.findall(text)) / len(text)
    flags = {
        "reporter": bool(_REPORTER.search(text)),
        "slashed": bool(_SLASHED.search(text)),
        "bracketed": text[0] in "（(" and text[-1] in "）)",
        "service": bool(_SERVICE.search(text)),
        "pictured": bool(_PICTURED.search(text)),
        "halves": len(parts) == 2 and len(parts[0]) == len(parts[1]) > 3,
        "many parts": len(parts) > 3,
        "verb": any(tag[0] == "v" for tag in tags),
        "place name": any(tag == "ns" for tag in tags),
        "person name": any(tag == "nr" for tag in tags),
        "particle": any(tag[0] in "uy" for tag in tags),
        "pronoun": any(tag[0] == "r" for tag in tags),
        "dots": text[-1] == "…",
        "asked or answered": bool(_ASKED.match(text)),
    }
    cues = {name: 1.0 for name, is_so in flags.items() if is_so}
    if digits:
        cues["digits"] = digits
    if tags:
        cues |= {f"first /{tags[0][:2]}": 1.0, f"last /{tags[-1][:2]}": 1.0}
    return cues
