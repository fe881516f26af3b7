"""Ten real answers as a chat on a phone: what Telegram's entities make of them, as a picture.

    python tests/bench/chat_picture.py [FILE.png]

Asks the sample pages, judges every message as the fake Telegram does, draws the entities that it
finds with chromium, which must be installed. Expandable quotations show their first three lines,
as a phone does. Needs no network and no token.
"""

import html
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]  # before the imports of what lies there

from playwright.sync_api import sync_playwright  # noqa: E402

from bot import render_telegram  # noqa: E402
from bot.settings import Settings  # noqa: E402
from bot.telegram.buttons import answer_keyboard  # noqa: E402
from bot.wiring import App, open_app  # noqa: E402
from rag.types import Answer  # noqa: E402
from telegram_judge import Json, judge  # noqa: E402

PICTURE = HERE / "data" / "pictures" / "telegram.png"
CHATS = (
    ("what did the Yanta district members propose to make things easier for old people?",),
    ("天心区今年还要装多少部电梯？全椒首批青年公寓又有多少间？",),
    ("what did Beilin district propose?",),
    ("Give me all five recommendations for healing the old mines, please.",),
    ("天心区今年还要装多少部电梯？", "那他们发了多少份问卷？"),
    ("一只丑果在屈晴川的车间里能变成哪六样东西？",),
    ("how many farmhouses had been put into the old house bank in Liuba by May",),
    ("who won the football world cup?",),
    ("委员们到潭门渔港之后提了哪些建议？",),
    ("Who led the survey of the old kilns in Fuliang?", "how many days did they take?"),
)
SHOWN = (0, 4, 7)  # of these in the picture that is kept
TAGS = {
    "bold": ("<b>", "</b>"),
    "italic": ("<i>", "</i>"),
    "blockquote": ("<blockquote>", "</blockquote>"),
    "expandable_blockquote": ("<blockquote class='long'>", "</blockquote>"),
}
# Drawn here: a machine without a font of emoji shows boxes.
ICONS = {
    "📄": '<rect x="4" y="2" width="12" height="16" rx="2"/><path d="M7 7h6M7 11h6M7 15h4"/>',
    "🔎": '<circle cx="8" cy="8" r="5.5"/><path d="M12.5 12.5 18 18"/>',
    "👍": '<path d="M3 9h3v9H3zM6 10l4-8c2 0 2.500 1.500 2 3.500L11.500 8H17l-2 9.500H6"/>',
    "👎": '<path d="M3 11h3V2H3zM6 10l4 8c2 0 2.500-1.500 2-3.500L11.500 12H17l-2-9.500H6"/>',
}
# Quotation marks and the middle dot as wide as a phone shows them; a Chinese font has them wide.
STYLE = """
@font-face { font-family: Narrow; src: local("Noto Sans CJK KR"), local("NotoSansCJKkr-Regular");
  unicode-range: U+B7, U+2018-201D }
body { margin: 0; padding: 14px 10px; width: 400px; background: #c9d9b3;
  font: 15px/1.33 Narrow, 'Noto Sans CJK SC', 'Noto Sans', sans-serif; color: #111 }
.out, .in { border-radius: 14px; padding: 7px 11px; margin: 5px 0; white-space: pre-wrap;
  overflow-wrap: anywhere; display: flow-root; box-shadow: 0 1px 1px #0002;
  max-width: 330px; width: fit-content }
.out { background: #e3fdcb; margin-left: auto }
.in { background: #fff }
blockquote { margin: 3px 0; padding: 3px 8px; background: #e9f2fb; border-left: 3px solid #3a8ee0;
  border-radius: 5px; position: relative }
blockquote.long { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical;
  overflow: hidden }
.keys { display: flex; gap: 4px; max-width: 352px; margin: 0 0 9px }
.keys span { flex: 1; text-align: center; background: #8fa67ecc; color: #fff; padding: 6px 2px;
  border-radius: 8px; font-size: 13px; white-space: nowrap }
.keys svg { width: 15px; height: 15px; fill: none; stroke: #fff; stroke-width: 1.6;
  vertical-align: -2px }
.time { float: right; margin: 6px -3px -3px 9px; font-size: 11px; color: #0007 }
"""


def main() -> None:
    """Draws the chat that is kept, and beside the run all ten answers in parts to look at."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with tempfile.TemporaryDirectory(prefix="wenbao-") as home:
        settings = Settings(home=Path(home), model_cache=HERE.parent / ".wenbao" / "models")
        app = open_app(settings)
        app.ingest([HERE / "data" / "sample" / "pages"])
        chats = [list(_bubbles(app, f"chat-{n}", asked)) for n, asked in enumerate(CHATS)]
        app.close()
    target.parent.mkdir(parents=True, exist_ok=True)
    _draw([each for n in SHOWN for each in chats[n]], target)
    if target != PICTURE:
        for n, chat in enumerate(chats):
            _draw(chat, target.with_stem(f"{target.stem}-{n}"))


def _bubbles(app: App, who: str, asked: Iterable[str]) -> Iterator[str]:
    """One conversation: each question with its answer and buttons."""
    for text in asked:
        answerer = app.answerer
        answer = answerer.answer_now(answerer.question(text, turns=app.people.turns(who)))
        app.people.answered(who, answer)
        yield f'<div class="out">{html.escape(text)}<span class="time">09:41 ✓✓</span></div>'
        for message in render_telegram.messages(answer):
            parsed = judge(message.html, "HTML")
            shown = _with_entities(parsed.text, parsed.entities)
            yield f'<div class="in">{shown}<span class="time">09:41</span></div>'
        labels = "".join(f"<span>{label}</span>" for label in _labels(answer))
        yield f'<div class="keys">{labels}</div>'


def _labels(answer: Answer) -> list[str]:
    articles = range(len({each.article_id for each in answer.citations}))
    near = bool(answer.passages) and answer.reason not in ("off_topic", "too_vague")
    (row,) = answer_keyboard("0" * 32, answer.language, list(articles), near)
    return [_drawn(html.escape(label)) for label, _ in row]


def _drawn(label: str) -> str:
    for sign, shape in ICONS.items():
        label = label.replace(sign, f'<svg viewBox="0 0 20 20">{shape}</svg>')
    return label


def _with_entities(text: str, entities: tuple[Json, ...]) -> str:
    """The text with its entities as HTML; offsets count UTF-16 units. A quotation is a block, and
    so the line ends beside it are its own."""
    raw, at, parts = text.encode("utf-16-le"), 0, []
    for entity in entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        first, last = TAGS[entity["type"]]
        before = raw[2 * at : 2 * start].decode("utf-16-le")
        if "blockquote" in first:
            before = before.removesuffix("\n")
        inside = html.escape(raw[2 * start : 2 * end].decode("utf-16-le"))
        parts.append(html.escape(before) + first + inside + last)
        at = end
        if "blockquote" in first and raw[2 * at : 2 * at + 2].decode("utf-16-le") == "\n":
            at += 1
    return "".join(parts) + html.escape(raw[2 * at :].decode("utf-16-le"))


def _draw(bubbles: list[str], target: Path) -> None:
    page = f"<meta charset=utf-8><style>{STYLE}</style><body>{''.join(bubbles)}</body>"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        tab = browser.new_page(viewport={"width": 420, "height": 300}, device_scale_factor=1.5)
        tab.set_content(page)
        tab.screenshot(path=str(target), full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
