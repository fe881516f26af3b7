"""The chat page in a real browser: what a person sees, clicks and hears read out.

Most of it runs over a stand-in for the HTTP door (page_server.py); the last tests open the page on
the real one.
"""

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import test_api
from page_server import BUS, ELEVATOR, FERRY, HOSTILE, KEY, POLICY, QUOTES, YANTA, Desk, serving

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import (  # noqa: E402
    Browser,
    FilePayload,
    Locator,
    Page,
    ViewportSize,
    expect,
)

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGE_FILE: FilePayload = {"name": "p1.txt", "mimeType": "text/plain", "buffer": "新闻".encode()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with serving(desk) as address:
        yield address


class Visit:
    """One person's tab, which keeps what the console says and whom it calls."""

    def __init__(self, browser: Browser, address: str, **person: Any) -> None:
        usual = {"viewport": DESK, "locale": "en-GB", "reduced_motion": "reduce"}
        self.context = browser.new_context(**(usual | person))
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.goto(address)

    def _hear(self, message: object) -> None:
        said = str(getattr(message, "text", message))
        # The browser reports every status of 400 and more, and every connection that breaks.
        if getattr(message, "type", "") in ("error", "warning") and "Failed to load" not in said:
            self.complaints.append(said)

    def ask(self, question: str) -> Locator:
        """Asks and waits for what becomes of it; gives the turn."""
        turns = self.page.locator(".turn")
        before = turns.count()
        self.page.locator("#question").fill(question)
        self.page.locator("#question").press("Enter")
        expect(turns).to_have_count(before + 1)
        turn = turns.nth(before)
        expect(turn).to_have_attribute("aria-busy", "false")
        return turn

    def give_key(self, key: str = KEY) -> None:
        self.page.locator("#use-key").click()
        self.page.locator("#key-value").fill(key)
        self.page.locator("#key-value").press("Enter")
        expect(self.page.locator("#key")).to_be_hidden()

    def lit(self) -> str:
        return "\n".join(self.page.locator("#article-text mark").all_text_contents())

    def style(self, selector: str, name: str) -> str:
        script = "(e, name) => getComputedStyle(e)[name]"
        return cast("str", self.page.locator(selector).first.evaluate(script, name))


def visiting(browser: Browser, address: str, **person: Any) -> Iterator[Visit]:
    visit = Visit(browser, address, **person)
    yield visit
    visit.context.close()
    assert visit.complaints == []
    assert visit.hosts <= {address.split("/")[2]}


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """An English visitor at a desk."""
    yield from visiting(browser, address)


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Visit]:
    """A Chinese visitor on a phone."""
    person = {"viewport": PHONE, "locale": "zh-CN", "has_touch": True, "is_mobile": True}
    yield from visiting(browser, address, **person)


def no_sideways_scroll(page: Page) -> bool:
    script = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return cast("bool", page.evaluate(script))


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("question", ["书屋几点来？", "when does the library come?"])
def test_a_clicked_marker_lights_up_its_quote_in_the_article(visit: Visit, question: str) -> None:
    turn = visit.ask(question)
    quotes = next(quotes for word, quotes in QUOTES.items() if word in question)
    expect(turn.locator(".answer .marker")).to_have_count(len(quotes))
    for n, (title, quote, _) in enumerate(quotes):
        turn.locator(".answer .marker").nth(n).click()
        expect(visit.page.locator("#article-title")).to_have_text(title)
        expect(visit.page.locator("mark")).to_be_in_viewport()
        expect(visit.page.locator("#all")).to_be_in_viewport()
        assert visit.lit() == quote  # 𠮷, 🚌 and 👩‍🏫 come before it
    paragraphs = visit.page.locator("#article-text p").all_text_contents()
    assert "\n".join(paragraphs) == BUS["text"]


def test_a_quote_across_paragraphs_is_lit_up_whole(visit: Visit) -> None:
    visit.ask("the whole story").locator(".sources .marker").click()
    expect(visit.page.locator("mark")).to_have_count(3)
    assert visit.lit() == BUS["text"][30:]


def test_the_quote_of_a_long_article_is_scrolled_to(visit: Visit, desk: Desk) -> None:
    desk.articles[desk.articles.index(BUS)] = BUS | {"text": "先说别的事。\n" * 300 + BUS["text"]}
    visit.ask("书屋几点来？").locator(".marker").first.click()
    expect(visit.page.locator("mark")).to_be_in_viewport()
    assert visit.lit() == "书屋每周二、周五傍晚到港"


def test_quotations_stand_under_their_frame_with_their_gloss(visit: Visit) -> None:
    turn = visit.ask("what did Yanta propose?")
    expect(turn.locator(".frame")).to_have_text(f"From “{YANTA}” (2024-03-12):")
    quotations = turn.locator(".answer blockquote")
    expect(quotations).to_have_count(2)
    expect(quotations.first.locator("p").first).to_have_attribute("lang", "zh-CN")
    expect(quotations.first.locator(".gloss")).to_have_text(re.compile("^Gloss committee members"))
    expect(turn.locator(".sources cite")).to_have_text(YANTA)
    expect(turn.locator(".sources blockquote")).to_have_count(0)  # it isn't said twice


def test_written_answers_are_prose_with_their_quotes_among_the_sources(visit: Visit) -> None:
    turn = visit.ask("written, please")
    expect(turn.locator(".answer .prose")).to_have_text(
        [re.compile("Fridays 1, in"), re.compile("coins 2.$")]
    )
    expect(turn.locator(".sources blockquote").first).to_contain_text("书屋每周二、周五傍晚到港")
    expect(turn.locator(".sources .gloss")).to_have_text("Gloss library arrive Tuesday")
    expect(turn.locator(".note")).to_contain_text("One sentence was left out")
    turn.locator(".answer .marker").nth(1).click()
    expect(visit.page.locator("#article-title")).to_have_text(FERRY["title"])
    assert visit.lit() == "A crossing costs two coins."


def test_a_refusal_looks_different_and_says_why(visit: Visit) -> None:
    answered = visit.ask("the ferry")
    refusal = visit.ask("what is on Mars?")
    expect(refusal).to_have_class("turn refusal")
    expect(refusal.locator(".verdict")).to_have_text("Not answered · the articles don't say")
    expect(refusal.locator(".marker, .sources")).to_have_count(0)
    looks = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.borderStyle] }"
    replies = [turn.locator(".reply") for turn in (refusal, answered)]
    assert replies[0].evaluate(looks) != replies[1].evaluate(looks)
    refusal.locator(".nearest button").nth(2).click()
    expect(visit.page.locator("#article-title")).to_have_text(ELEVATOR)


def test_a_follow_up_goes_on_in_the_conversation_and_says_how_it_was_taken(
    visit: Visit, desk: Desk
) -> None:
    visit.ask("when does the library come?")
    turn = visit.ask("and the library there? (a follow-up)")
    expect(turn.locator(".understood")).to_contain_text("harbour of Hekou?")
    visit.page.locator("#fresh").click()
    expect(visit.page.locator(".turn")).to_have_count(0)
    expect(visit.page.locator("#question")).to_be_focused()
    expect(visit.page.locator("#examples")).to_be_visible()
    visit.ask("the ferry")
    first, second, third = (asked["conversation_id"] for asked in desk.asked)
    assert first == second != third
    assert re.fullmatch("[A-Za-z0-9_-]{8,64}", first)


def test_the_answer_appears_while_it_comes(visit: Visit, desk: Desk) -> None:
    desk.delay_s = 0.5
    visit.page.locator("#question").fill("what did Yanta propose?")
    visit.page.locator("#send").click()
    expect(visit.page.locator("#status")).to_have_text("Reading 4 passages …")
    expect(visit.page.locator(".turn")).to_have_attribute("aria-busy", "true")
    expect(visit.page.locator(".turn h2")).to_be_in_viewport()
    expect(visit.page.locator(".answer .marker")).to_have_count(2)


def test_a_slow_answer_can_be_stopped(visit: Visit, desk: Desk) -> None:
    desk.delay_s = 20
    visit.page.locator("#question").fill("the ferry")
    visit.page.locator("#send").click()
    expect(visit.page.locator("#send")).to_have_text("Stop")
    visit.page.locator("#send").click()
    expect(visit.page.locator(".turn")).to_contain_text("Stopped.")
    expect(visit.page.locator("#send")).to_have_text("Ask")


def test_an_answer_is_copied_with_its_sources(visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = visit.ask("when does the library come?")
    turn.locator(".act", has_text="Copy with sources").click()
    expect(visit.page.locator("#status")).to_have_text("Copied, with its sources.")
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert "“书屋每周二、周五傍晚到港” [1]" in copied
    assert f"[1] {BUS['title']} · 2024-09-13 · 河口日报\n“书屋每周二、周五傍晚到港”" in copied


def test_an_answer_is_copied_where_there_is_no_clipboard_to_ask(visit: Visit) -> None:
    visit.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    turn = visit.ask("the ferry")
    button = turn.locator(".act", has_text="Copy with sources")
    button.click()
    expect(visit.page.locator("#status")).to_have_text("Copied, with its sources.")
    expect(button).to_be_focused()


def test_a_vote_is_sent_and_can_be_changed(visit: Visit, desk: Desk) -> None:
    turn = visit.ask("the ferry")
    up, down = turn.locator("[data-vote=up]"), turn.locator("[data-vote=down]")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(up).to_have_attribute("aria-pressed", "false")
    votes = [(vote["answer_id"], vote["vote"]) for vote in desk.votes]
    assert votes == [("answer-1", "up"), ("answer-1", "down")]


def test_the_page_does_without_what_a_server_does_not_offer(
    browser: Browser, address: str, desk: Desk
) -> None:
    desk.without = {"feedback", "examples"}
    for visit in visiting(browser, address):
        expect(visit.page.locator("#articles li")).to_have_count(30)
        expect(visit.page.locator("#examples")).to_be_hidden()
        turn = visit.ask("the ferry")
        turn.locator(".thumb").first.click()
        expect(turn.locator(".thumb")).to_have_count(0)
        expect(visit.ask("the ferry").locator(".thumb")).to_have_count(0)


# ── What goes wrong ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["dies", "ends"])
def test_a_stream_that_breaks_off_says_so_and_offers_to_ask_again(
    visit: Visit, desk: Desk, how: str
) -> None:
    turn = visit.ask(f"the library ({how})")
    expect(turn).to_have_class("turn failed")
    expect(turn).to_contain_text("The connection broke off before the answer was whole.")
    expect(turn.locator(".answer")).to_contain_text(BUS["title"])  # what had come stays
    expect(turn.locator(".again")).to_be_in_viewport()
    desk.mended = True
    turn.locator(".again").click()
    expect(turn).to_have_class("turn answered")
    expect(turn.locator(".answer .marker")).to_have_count(1)
    assert desk.asked[0]["conversation_id"] == desk.asked[1]["conversation_id"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param("书屋 (fails)", "语言模型暂时没有回应。", id="in the stream"),
        pytest.param("书屋 (busy)", "暂时读不到文章。 请在 5 秒后再试。", id="instead of it"),
    ],
)
def test_an_error_is_told_in_the_persons_language(
    phone: Visit, desk: Desk, question: str, said: str
) -> None:
    turn = phone.ask(question)
    expect(turn).to_have_class("turn failed")
    expect(turn.locator(".broken")).to_contain_text(said)
    assert desk.asked[0]["accept"] == "zh-CN"


def test_a_server_that_is_gone_is_told(visit: Visit) -> None:
    visit.context.set_offline(True)
    expect(visit.ask("the ferry")).to_contain_text("The server can't be reached.")
    visit.context.set_offline(False)


def test_an_article_that_is_gone_is_told(visit: Visit, desk: Desk) -> None:
    turn = visit.ask("the ferry")
    desk.articles.remove(FERRY)
    turn.locator(".marker").first.click()
    expect(visit.page.locator("#status")).to_have_text("This article is no longer here.")


def test_a_quote_that_is_not_at_its_place_is_not_lit_up(visit: Visit, desk: Desk) -> None:
    turn = visit.ask("the ferry")
    desk.articles[desk.articles.index(FERRY)] = FERRY | {"text": "Set anew. " + FERRY["text"]}
    turn.locator(".marker").first.click()
    expect(visit.page.locator("#article-moved")).to_be_visible()
    expect(visit.page.locator("mark")).to_have_count(0)


def test_markup_stays_text_wherever_it_comes_from(visit: Visit, desk: Desk) -> None:
    turn = visit.ask(f"trap {HOSTILE}")
    expect(turn.locator("h2")).to_have_text(f"trap {HOSTILE}")
    expect(turn.locator(".gloss")).to_contain_text("onerror")
    expect(turn.locator("cite")).to_have_text(HOSTILE)
    turn.locator(".answer .marker").last.click()
    expect(visit.page.locator("#article-title")).to_have_text(HOSTILE)
    assert visit.lit() == HOSTILE
    visit.page.locator("#all").click()
    visit.give_key()
    desk.jobs = [done(failed=[{"path": f"{HOSTILE}.txt", "error": HOSTILE}])]
    visit.page.locator("#files").set_input_files([PAGE_FILE | {"name": "<b>x</b>.txt"}])
    expect(visit.page.locator("#report .fault")).to_contain_text("onerror")
    visit.page.locator("#filter").fill("onerror")
    expect(visit.page.locator("#articles li")).to_have_count(1)
    expect(visit.page.locator("#articles .title")).to_have_text(HOSTILE)
    assert visit.page.locator("main img, aside img, body script, #report b").count() == 0


# ── The browser's own arithmetic ────────────────────────────────────────────────────────────────

CUT = """async ([body, size]) => {
  const { events } = await import("/static/events.js");
  const bytes = new TextEncoder().encode(body);
  const stream = new ReadableStream({ start(controller) {
    for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
    controller.close();
  } });
  const found = [];
  for await (const event of events(stream)) found.push(event);
  return found;
}"""


def test_events_are_read_whole_however_the_stream_is_cut(visit: Visit) -> None:
    sent = [["passages", {"passages": []}], ["token", {"text": "🚌书屋 a\u2028b"}], ["token", {}]]
    blocks = [f"event: {n}\ndata: {json.dumps(d, ensure_ascii=False)}\n\n" for n, d in sent]
    body = ": ping\n\n" + "".join(blocks)
    for size in range(1, 40):
        assert visit.page.evaluate(CUT, [body, size]) == sent
    for end in range(len(body)):  # a connection that closes there: nothing half-read comes out
        whole = body[:end].count("\n\n") - 1 if "\n\n" in body[:end] else 0
        assert visit.page.evaluate(CUT, [body[:end], 7]) == sent[: max(whole, 0)]
    assert visit.page.evaluate(CUT, [body.replace("\n", "\r\n"), 3]) == sent


LINES = """async (cases) => {
  const { lines } = await import("/static/points.js");
  return cases.map(([text, start, end]) => lines(text, start, end).map(
    (line) => [line.map((piece) => piece.text).join(""),
               line.filter((piece) => piece.marked).map((piece) => piece.text).join("")]));
}"""


def test_any_range_of_any_text_is_cut_by_code_points(visit: Visit) -> None:
    dice = random.Random(7)
    letters = "a书\n𠮷🚌é\u0301\u200d👩🏫。“"
    cases = []
    for _ in range(300):
        text = "".join(dice.choices(letters, k=dice.randint(1, 60)))
        start, end = sorted(dice.choices(range(len(text) + 1), k=2))
        cases.append((text, start, end))
    for (text, start, end), found in zip(cases, visit.page.evaluate(LINES, cases), strict=True):
        assert "\n".join(whole for whole, _ in found) == text
        marked = "".join(part for _, part in found)
        assert marked == text[start:end].replace("\n", "")


# ── The articles ────────────────────────────────────────────────────────────────────────────────


def test_the_list_is_searched_dated_and_paged(visit: Visit, desk: Desk) -> None:
    page = visit.page
    expect(page.locator("#articles li")).to_have_count(30)
    expect(page.locator("#count")).to_have_text("The first 30 articles")
    page.locator("#more").click()
    expect(page.locator("#articles li")).to_have_count(len(desk.articles))
    expect(page.locator("#articles button").nth(30)).to_be_focused()
    expect(page.locator("#more")).to_be_hidden()
    page.locator("#since").fill("2024-09-01")
    page.locator("#until").fill("2024-09-30")
    expect(page.locator("#articles li")).to_have_count(1)
    expect(page.locator("#articles .title")).to_have_text(BUS["title"])
    page.locator("#filter").fill("没有这样的")
    expect(page.locator("#count")).to_have_text("No article fits.")


def test_an_article_opens_from_the_list_and_goes_back_to_it(visit: Visit) -> None:
    page = visit.page
    page.locator("#filter").fill("河口")
    expect(page.locator("#articles li")).to_have_count(1)
    page.locator("#articles button").click()
    expect(page.locator("#article-text")).to_contain_text("流动书屋🚌")
    expect(page.locator("#article-facts")).to_have_text("2024-09-13 · 河口日报 · 本报记者 柳青禾")
    expect(page.locator("mark")).to_have_count(0)
    page.locator("#all").click()
    expect(page.locator("#list-title")).to_be_focused()
    expect(page.locator("#articles li")).to_have_count(1)


def test_an_example_question_asks_itself(visit: Visit) -> None:
    expect(visit.page.locator("#examples")).to_be_visible()
    visit.page.locator(".example").first.click()
    expect(visit.page.locator(".turn h2")).to_contain_text("Yanta district members")
    expect(visit.page.locator("#examples")).to_be_hidden()


# ── Adding pages ────────────────────────────────────────────────────────────────────────────────


def done(**report: Any) -> dict[str, Any]:
    usual = {"added": 0, "updated": 0, "unchanged": 0, "removed": 0, "failed": []}
    return {"state": "done", "files": 2, "files_done": 2, "report": usual | report}


def test_pages_are_added_with_a_key_and_appear_in_the_list(visit: Visit, desk: Desk) -> None:
    page = visit.page
    expect(page.locator("#upload")).to_be_hidden()
    visit.give_key()
    fault = {"path": "p2.txt", "error": "The file holds no page text."}
    desk.jobs = [
        {"state": "queued", "files": 2, "files_done": 0},
        {"state": "running", "files": 2, "files_done": 1},
        {"state": "away"},  # the server starts again meanwhile
        done(added=1, unchanged=2, failed=[fault]),
    ]
    new = BUS | {"article_id": "own/new", "title": "渡轮停航", "date": "2025-01-01"}
    page.locator("#files").set_input_files([PAGE_FILE, PAGE_FILE | {"name": "p2.txt"}])
    expect(page.locator("#progress-words")).to_have_text("Reading the pages … 1 of 2")
    assert page.locator("#progress-bar").evaluate("e => e.value") == 0.5
    desk.articles.append(new)
    expect(page.locator("#report p")).to_have_text("Added: 1 new, 2 known already")
    expect(page.locator("#report .fault")).to_have_text("p2.txt: The file holds no page text.")
    expect(page.locator("#articles .title").first).to_have_text("渡轮停航")
    assert desk.uploads == [["p1.txt", "p2.txt"]]


DROP = """(names) => {
  const files = new DataTransfer();
  for (const name of names) files.items.add(new File(["页"], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const happening = { dataTransfer: files, bubbles: true, cancelable: true };
    document.querySelector("main").dispatchEvent(new DragEvent(type, happening));
  }
}"""


def test_pages_can_be_dropped_anywhere_but_not_without_a_key(visit: Visit, desk: Desk) -> None:
    visit.page.evaluate(DROP, ["早.txt"])
    visit.give_key()
    desk.jobs = [done(added=2)]
    visit.page.evaluate(DROP, ["头版.txt", "二版.txt"])
    expect(visit.page.locator("#report")).to_have_text("Added: 2 new")
    assert desk.uploads == [["头版.txt", "二版.txt"]]


def test_a_job_that_failed_says_why(visit: Visit, desk: Desk) -> None:
    visit.give_key()
    why = "Another process writes to this index."
    desk.jobs = [{"state": "failed", "files": 1, "files_done": 0, "error": why}]
    visit.page.locator("#files").set_input_files([PAGE_FILE])
    expect(visit.page.locator("#report")).to_have_text(f"The pages were not added. {why}")


def test_a_wrong_key_is_asked_for_again_and_can_be_forgotten(visit: Visit, desk: Desk) -> None:
    visit.give_key("wrong")
    desk.jobs = [done(added=1)]
    visit.page.locator("#files").set_input_files([PAGE_FILE])
    expect(visit.page.locator("#key-words")).to_contain_text("That key is not known here.")
    visit.page.locator("#key-value").fill(KEY)
    visit.page.locator("#key-value").press("Enter")
    expect(visit.page.locator("#report")).to_have_text("Added: 1 new")
    assert visit.page.evaluate("JSON.stringify(localStorage)").find(KEY) == -1
    visit.page.locator("#use-key").click()
    expect(visit.page.locator("#upload")).to_be_hidden()
    assert visit.page.evaluate("JSON.stringify(sessionStorage)").find(KEY) == -1


def test_a_reading_key_is_asked_for_once_and_kept_in_the_tab(
    browser: Browser, desk: Desk, address: str
) -> None:
    desk.key = KEY
    for visit in visiting(browser, address):
        page = visit.page
        for key in ("wrong", KEY):
            expect(page.locator("#key")).to_be_visible()
            page.locator("#key-value").fill(key)
            page.locator("#key-value").press("Enter")
        expect(page.locator("#articles li")).to_have_count(30)
        page.reload()
        expect(page.locator("#articles li")).to_have_count(30)
        expect(page.locator("#key")).to_be_hidden()
        assert KEY not in page.content()


def test_without_the_reading_key_the_page_says_so(
    browser: Browser, desk: Desk, address: str
) -> None:
    desk.key = KEY
    for visit in visiting(browser, address):
        visit.page.locator("#key-cancel").click()
        expect(visit.page.locator("#count")).to_have_text("This needs an API key.")


# ── Everybody ───────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_announced_to_screen_readers(visit: Visit) -> None:
    heard, status = visit.page.locator("#heard"), visit.page.locator("#status")
    expect(heard).to_have_attribute("aria-live", "polite")
    visit.ask("the ferry")
    expect(heard).to_contain_text("“People who work late can go home,” [1]")
    expect(heard.locator("p")).to_have_count(2)  # each line once, the whole answer not again
    expect(status).to_have_text("Answered, with 1 source.")
    visit.ask("Mars")
    expect(status).to_contain_text("Not answered")
    visit.ask("the ferry (dies)")
    expect(heard).to_contain_text("The connection broke off")


def test_everything_can_be_done_with_the_keyboard(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.type("the ferry")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("at night")
    page.keyboard.press("Enter")
    expect(page.locator(".turn h2")).to_have_text("the ferry\nat night")
    marker = page.locator(".answer .marker").first
    marker.wait_for()
    expect(page.locator("#question")).to_be_focused()
    while not marker.evaluate("e => e === document.activeElement"):
        page.keyboard.press("Shift+Tab")
    assert visit.style(".answer .marker", "outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#article-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(marker).to_be_focused()
    expect(page.locator("#list")).to_be_visible()


def test_enter_that_ends_a_composition_does_not_send(visit: Visit, desk: Desk) -> None:
    visit.page.locator("#question").fill("shuwu")
    visit.page.locator("#question").dispatch_event(
        "keydown", {"key": "Enter", "isComposing": True, "bubbles": True}
    )
    expect(visit.page.locator(".turn")).to_have_count(0)
    assert desk.asked == []


def test_a_phone_shows_the_article_as_a_sheet(phone: Visit) -> None:
    page = phone.page
    expect(page.locator("#send")).to_have_text("提问")
    expect(page.locator("#panel")).to_be_hidden()
    assert no_sideways_scroll(page)
    turn = phone.ask("书屋几点来？")
    marker = turn.locator(".marker").first
    marker.tap()
    expect(page.locator("#sheet")).to_have_js_property("open", True)
    expect(page.locator("mark")).to_be_in_viewport()
    expect(page.locator("#reader .close")).to_be_in_viewport()
    assert phone.lit() == "书屋每周二、周五傍晚到港"
    assert no_sideways_scroll(page)
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(marker).to_be_focused()
    page.locator("#browse").tap()
    expect(page.locator("#articles li")).to_have_count(30)
    page.locator("#list .close").tap()
    expect(page.locator("#browse")).to_be_focused()


def test_an_open_article_stays_open_when_the_window_changes(phone: Visit) -> None:
    phone.ask("书屋几点来？").locator(".marker").first.tap()
    expect(phone.page.locator("#article-title")).to_be_visible()
    phone.page.set_viewport_size(DESK)
    expect(phone.page.locator("#sheet")).to_be_hidden()
    expect(phone.page.locator("mark")).to_be_visible()
    phone.page.set_viewport_size(PHONE)
    expect(phone.page.locator("#sheet")).to_be_visible()
    assert phone.lit() == "书屋每周二、周五傍晚到港"


def test_the_language_can_be_switched_and_is_remembered(visit: Visit) -> None:
    page = visit.page
    turn = visit.ask("when does the library come?")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("#language").click()
    expect(page.locator("label[for=question]")).to_have_text("您的问题")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(turn.locator(".sources h3")).to_have_text("出处")
    expect(turn.locator(".answer .marker")).to_have_accessible_name(f"出处 1：{BUS['title']}")
    expect(turn.locator(".gloss .label")).to_have_text("Gloss")  # the gloss itself stays English
    page.reload()
    expect(page.locator("#send")).to_have_text("提问")
    expect(page.locator(".example").first).to_contain_text("雁塔区")


def test_every_word_is_there_in_both_languages(visit: Visit) -> None:
    keys = """async () => {
      const { WORDS } = await import("/static/words.js");
      const all = (t) => Object.entries(t).flatMap(([k, v]) =>
        typeof v === "object" ? all(v).map((inner) => `${k}.${inner}`) : [`${k}:${typeof v}`]);
      return [all(WORDS.en), all(WORDS.zh)];
    }"""
    english, chinese = visit.page.evaluate(keys)
    assert english == chinese


@pytest.mark.parametrize("width", [DESK, PHONE], ids=["1280", "390"])
def test_nothing_makes_the_page_wider_than_its_window(
    browser: Browser, address: str, desk: Desk, width: ViewportSize
) -> None:
    endless = "x" * 300
    desk.articles.append(BUS | {"article_id": "own/x", "title": endless, "date": "2026-01-01"})
    for visit in visiting(browser, address, viewport=width):
        visit.ask(f"library {endless}")
        visit.ask(f"written {endless}").locator(".marker").first.click()
        assert no_sideways_scroll(visit.page)


def luminance(color: str) -> float:
    red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
    return (0.3 * red + 0.6 * green + 0.1 * blue) / 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE], ids=["1280", "390"])
def test_axe_finds_nothing_serious(
    browser: Browser, address: str, desk: Desk, width: ViewportSize, scheme: str
) -> None:
    for visit in visiting(browser, address, viewport=width, color_scheme=scheme):
        page = visit.page
        expect(page.locator("#articles li").first).to_be_attached()
        ground = luminance(visit.style("body", "backgroundColor"))
        assert ground > 0.9 if scheme == "light" else ground < 0.2
        expect(page.locator("#examples")).to_be_visible()
        serious(page)
        turn = visit.ask("what did Yanta propose?")
        visit.ask("what is on Mars?")
        visit.ask("written, a follow-up")
        visit.ask("the library (dies)")
        serious(page)
        turn.locator(".marker").first.click()
        expect(page.locator("mark")).to_be_visible()
        serious(page)
        page.locator("#all").click()
        visit.give_key()
        desk.jobs = [done(added=1, failed=[{"path": "p.txt", "error": "It is empty."}])]
        page.locator("#files").set_input_files([PAGE_FILE])
        expect(page.locator("#report .fault")).to_be_visible()
        serious(page)
        page.locator("#use-key").click()
        page.locator("#use-key").click()
        serious(page)


def serious(page: Page) -> None:
    """Fails with what axe finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    told = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
    assert told == []


def test_on_paper_there_are_answers_and_sources_and_nothing_to_press(visit: Visit) -> None:
    turn = visit.ask("what did Yanta propose?")
    turn.locator(".marker").first.click()
    expect(visit.page.locator("mark")).to_be_visible()
    visit.page.emulate_media(media="print")
    for hidden in ("#ask", "nav", ".acts", "#reader .head"):
        expect(visit.page.locator(hidden).first).to_be_hidden()
    for shown in (".turn .sources", ".turn .gloss", "#article-text"):
        expect(visit.page.locator(shown).first).to_be_visible()
    assert visit.style(".turn", "color") == "rgb(0, 0, 0)"


# ── On the real door ────────────────────────────────────────────────────────────────────────────


def test_the_page_works_on_the_real_door_under_its_policy(browser: Browser, tmp_path: Path) -> None:
    with test_api.serving(test_api.newsroom(tmp_path)) as address:
        for visit in visiting(browser, address):
            turn = visit.ask("when does the library come?")
            turn.locator(".marker").nth(1).click()
            expect(visit.page.locator("mark")).to_be_in_viewport()
            assert visit.lit() == "给船员办一张不用押金的借书证"
            expect(visit.ask("what is on Mars?")).to_have_class("turn refusal")
            refused = visit.ask("why " * 100)
            expect(refused).to_contain_text("200 characters")
            policy = visit.page.request.get(address).headers["content-security-policy"]
            assert policy == POLICY


def test_the_docs_page_runs_under_its_policy(browser: Browser, tmp_path: Path) -> None:
    with test_api.serving(test_api.newsroom(tmp_path)) as address:
        for visit in visiting(browser, address + "/docs"):
            ask = visit.page.locator("#operations-questions-ask")
            ask.locator(".opblock-summary-control").click()
            expect(ask).to_contain_text("conversation_id")
