"""The chat page in a real browser: for keyboards, screen readers, phones, both languages, paper."""

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect

from page_server import BUS, Desk, done
from visits import DESK, PAGE_FILE, PHONE, Visit, no_sideways_scroll

pytestmark = pytest.mark.browser
pytest_plugins = ["visitors"]


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
    quote = "“People who work late can go home,”"
    expect(page.locator("#article-title")).to_have_accessible_description(quote)
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
    visit: Visit, desk: Desk, width: ViewportSize
) -> None:
    endless = "x" * 300
    desk.articles.append(BUS | {"article_id": "own/x", "title": endless, "date": "2026-01-01"})
    visit.page.set_viewport_size(width)
    visit.page.reload()
    visit.ask(f"library {endless}")
    visit.ask(f"written {endless}").locator(".marker").first.click()
    assert no_sideways_scroll(visit.page)
    visit.page.locator("#all").click()
    assert visit.page.locator("#panel").evaluate("e => e.scrollWidth <= e.clientWidth")


Scheme = Literal["light", "dark"]


def luminance(color: str) -> float:
    red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
    return (0.3 * red + 0.6 * green + 0.1 * blue) / 255


@pytest.mark.parametrize(
    ("width", "one", "other"),
    [
        pytest.param(DESK, "light", "dark", id="1280"),
        pytest.param(PHONE, "dark", "light", id="390"),
    ],
)
def test_axe_finds_nothing(
    visit: Visit, desk: Desk, width: ViewportSize, one: Scheme, other: Scheme
) -> None:
    page = visit.page
    page.set_viewport_size(width)
    expect(page.locator("#articles li").first).to_be_attached()
    expect(page.locator("#examples")).to_be_visible()
    nothing_found(visit, one)
    turn = visit.ask("what did Yanta propose?")
    visit.ask("what is on Mars?")
    visit.ask("written, a follow-up")
    visit.ask("the library (dies)")
    nothing_found(visit, one, other)
    turn.locator(".marker").first.click()
    expect(page.locator("mark")).to_be_visible()
    nothing_found(visit, one, other)
    page.locator("#all").click()
    visit.give_key()
    desk.jobs = [done(added=1, failed=[{"path": "p.txt", "error": "It is empty."}])]
    page.locator("#files").set_input_files([PAGE_FILE])
    expect(page.locator("#report .fault")).to_be_visible()
    nothing_found(visit, other)
    page.locator("#use-key").click()
    page.locator("#use-key").click()
    nothing_found(visit, one)


def nothing_found(visit: Visit, *schemes: Scheme) -> None:
    """Fails with what axe finds, of whatever weight, in these colours."""
    for scheme in schemes:
        visit.page.emulate_media(color_scheme=scheme)
        ground = luminance(visit.style("body", "backgroundColor"))
        assert ground > 0.9 if scheme == "light" else ground < 0.2
        found = Axe().run(visit.page).response["violations"]
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []


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
