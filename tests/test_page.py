"""The chat page in a real browser: what a person sees, clicks and hears read out."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from newsroom import BRIDGE, LIBRARY, Newsroom, newsroom, serving
from rag.errors import StoreUnavailable
from rag.types import Article

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect  # noqa: E402

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path)


@pytest.fixture
def address(room: Newsroom) -> Iterator[str]:
    with serving(room) as address:
        yield address


class Visit:
    """One person's tab, which keeps what the console says and whom it calls."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.goto(address)

    def _hear(self, message: object) -> None:
        if getattr(message, "type", "") in ("error", "warning"):
            self.complaints.append(str(getattr(message, "text", message)))

    def ask(self, question: str) -> None:
        self.page.locator("#question").fill(question)
        self.page.locator("#question").press("Enter")
        expect(self.page.locator(".turn").first).not_to_have_attribute("aria-busy", "true")


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """An English visitor at a desk."""
    with browser.new_context(viewport=DESK, locale="en-GB", reduced_motion="reduce") as context:
        visit = Visit(context, address)
        yield visit
        assert visit.complaints == []
        assert visit.hosts == {address.removeprefix("http://")}


@pytest.fixture
def chinese_phone(browser: Browser, address: str) -> Iterator[Visit]:
    """A Chinese visitor on a phone."""
    with browser.new_context(
        viewport=PHONE, locale="zh-CN", has_touch=True, is_mobile=True, reduced_motion="reduce"
    ) as context:
        visit = Visit(context, address)
        yield visit
        assert visit.complaints == []


def no_sideways_scroll(page: Page) -> bool:
    script = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return cast("bool", page.evaluate(script))


def lit(page: Page) -> str:
    return "\n".join(page.locator("#article-text mark").all_text_contents())


def test_a_clicked_marker_lights_up_its_quote_in_the_article(visit: Visit) -> None:
    visit.ask("when does the library come?")
    turn = visit.page.locator(".turn").first
    expect(turn.locator(".marker")).to_have_count(2)
    expect(turn.locator(".source")).to_have_count(2)
    for n, quote in enumerate(["书屋每周二、周五傍晚到港", "给船员办一张不用押金的借书证"]):
        turn.locator(".marker").nth(n).click()
        expect(visit.page.locator("#article-title")).to_have_text(LIBRARY.title)
        expect(visit.page.locator("mark")).to_be_in_viewport()
        expect(visit.page.locator("#back")).to_be_in_viewport()
        assert lit(visit.page) == quote
    paragraphs = visit.page.locator("#article-text p").all_text_contents()
    assert "\n".join(paragraphs) == LIBRARY.text


def test_a_quote_across_paragraphs_is_lit_up_whole(visit: Visit) -> None:
    visit.ask("the whole story")
    visit.page.locator(".source").first.click()
    expect(visit.page.locator("mark")).to_have_count(3)
    assert lit(visit.page) == LIBRARY.text[30:]


def test_a_refusal_looks_different_and_says_why(visit: Visit) -> None:
    visit.ask("what is on Mars?")
    turn = visit.page.locator(".turn").first
    expect(turn).to_have_class("turn refusal")
    expect(turn.locator(".verdict")).to_have_text("Not answered · the articles don't say")
    expect(turn.locator(".marker, .source")).to_have_count(0)
    refusal = turn.evaluate("e => getComputedStyle(e).backgroundColor")
    visit.ask("the bridge")
    answered = visit.page.locator(".turn").first.evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    assert refusal != answered


def test_an_answer_is_announced_to_screen_readers(visit: Visit) -> None:
    status = visit.page.locator("#status")
    expect(status).to_have_attribute("aria-live", "polite")
    visit.ask("the bridge")
    expect(status).to_contain_text("Answered, with 1 source.")
    visit.ask("Mars")
    expect(status).to_contain_text("Not answered")


def test_everything_can_be_done_with_the_keyboard(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#question").focus()
    page.keyboard.type("the bridge")
    page.keyboard.press("Enter")
    page.locator(".turn .marker").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(".marker").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#article-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".marker").first).to_be_focused()
    expect(page.locator("#list")).to_be_visible()


def test_the_list_is_filtered_and_opens_articles(visit: Visit) -> None:
    page = visit.page
    expect(page.locator("#articles li")).to_have_count(2)
    expect(page.locator("#articles li").first).to_contain_text(BRIDGE.title)
    page.locator("#filter").fill("2024-09 河口")
    expect(page.locator("#articles li")).to_have_count(1)
    page.locator("#articles button").click()
    expect(page.locator("#article-text")).to_contain_text("流动书屋")
    expect(page.locator("mark")).to_have_count(0)
    page.locator("#all").click()
    page.locator("#filter").fill("没有这样的")
    expect(page.locator("#more")).to_have_text("No article fits.")


def test_an_example_question_asks_itself(visit: Visit) -> None:
    expect(visit.page.locator("#examples")).to_be_visible()
    visit.page.locator(".example").first.click()
    expect(visit.page.locator(".turn h3")).to_contain_text(BRIDGE.title)
    expect(visit.page.locator("#examples")).to_be_hidden()


def test_a_phone_shows_the_article_below_without_sideways_scroll(chinese_phone: Visit) -> None:
    page = chinese_phone.page
    assert no_sideways_scroll(page)
    expect(page.locator("#send")).to_have_text("提问")
    chinese_phone.ask("书屋几点来？")
    page.locator(".marker").first.tap()
    expect(page.locator("mark")).to_be_in_viewport()
    expect(page.locator("#back")).to_be_in_viewport()
    assert lit(page) == "书屋每周二、周五傍晚到港"
    assert no_sideways_scroll(page)
    page.locator("#back").tap()
    expect(page.locator(".marker").first).to_be_in_viewport()


def test_the_language_can_be_switched_and_is_remembered(visit: Visit) -> None:
    page = visit.page
    page.locator("#language").click()
    expect(page.locator("label[for=question]")).to_have_text("您的问题")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(page.locator("#send")).to_have_text("提问")


def test_markup_in_an_article_stays_text(visit: Visit, room: Newsroom) -> None:
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    room.articles.append(Article("art/3", bad, f"{bad}\n正文。", date="2025-01-01"))
    visit.page.reload()
    visit.page.locator("#articles button").first.click()
    expect(visit.page.locator("#article-title")).to_have_text(bad)
    expect(visit.page.locator("#article-text")).to_contain_text(bad)
    assert visit.page.locator("main img, aside img, body script").count() == 0


def test_an_error_is_told_in_the_persons_language(chinese_phone: Visit, room: Newsroom) -> None:
    room.fails = StoreUnavailable("busy")
    chinese_phone.ask("书屋几点来？")
    turn = chinese_phone.page.locator(".turn").first
    expect(turn).to_have_class("turn failure")
    expect(turn).to_contain_text("暂时读不到文章，请稍后再试。")


def test_a_long_question_gets_the_servers_reason(visit: Visit) -> None:
    visit.ask("why " * 100)
    expect(visit.page.locator(".turn").first).to_contain_text("200 characters")
    visit.complaints.clear()  # the browser reports every status of 400 and more


def test_a_slow_answer_can_be_stopped(visit: Visit, room: Newsroom) -> None:
    room.delay_s = 5
    visit.page.locator("#question").fill("the bridge")
    visit.page.locator("#send").click()
    expect(visit.page.locator("#send")).to_have_text("Stop")
    visit.page.locator("#send").click()
    expect(visit.page.locator(".turn")).to_contain_text("Stopped.")
    expect(visit.page.locator("#send")).to_have_text("Ask")


def test_a_key_is_asked_for_once_and_kept_in_the_tab(browser: Browser, tmp_path: Path) -> None:
    guarded = newsroom(tmp_path, "open-sesame")
    with serving(guarded) as address, browser.new_context(locale="en-GB") as context:
        page = Visit(context, address).page
        for key in ("wrong", "open-sesame"):
            expect(page.locator("#key")).to_be_visible()
            page.locator("#key-value").fill(key)
            page.locator("#key-value").press("Enter")
        expect(page.locator("#articles li")).to_have_count(2)
        page.reload()
        expect(page.locator("#articles li")).to_have_count(2)
        expect(page.locator("#key")).to_be_hidden()
        assert "open-sesame" not in page.content()


def test_without_a_key_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    guarded = newsroom(tmp_path, "open-sesame")
    with serving(guarded) as address, browser.new_context(locale="en-GB") as context:
        page = Visit(context, address).page
        page.locator("#key-cancel").click()
        expect(page.locator("#more")).to_have_text("This needs an API key.")


def test_the_docs_page_runs_under_its_policy(visit: Visit, address: str) -> None:
    visit.page.goto(address + "/docs")
    expect(visit.page.locator(".opblock")).to_have_count(7)
    visit.page.locator("#operations-questions-ask .opblock-summary-control").click()
    expect(visit.page.locator("#operations-questions-ask")).to_contain_text("conversation_id")
