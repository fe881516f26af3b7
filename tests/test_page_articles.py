"""The chat page in a real browser: the list of articles, adding pages, keys."""

import pytest
from playwright.sync_api import BrowserContext, expect

from page_server import BUS, KEY, Desk, done
from visits import PAGE_FILE, PHONE, Visit, visiting

pytestmark = pytest.mark.browser
pytest_plugins = ["visitors"]


# ── The articles ──────────────────────────────────────────────────────────────────────────────────


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


def test_the_list_is_found_again_where_it_was_left(visit: Visit) -> None:
    entry = visit.page.locator("#articles button").nth(25)
    entry.click()
    expect(visit.page.locator("#article-title")).to_be_in_viewport()
    visit.page.keyboard.press("Escape")
    expect(entry).to_be_focused()
    expect(entry).to_be_in_viewport()


def test_the_last_articles_opened_need_not_be_sent_again(visit: Visit) -> None:
    page = visit.page
    expect(page.locator("#articles li")).to_have_count(30)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url.partition("/v1/articles/")[2]))

    def opened(number: int) -> int:
        entry = page.locator("#articles button").nth(number)
        title = entry.locator(".title").text_content() or ""
        entry.dispatch_event("click")
        expect(page.locator("#article-title")).to_have_text(title)
        return len(list(filter(None, sent)))

    for number in range(21):
        opened(number)
    assert (opened(20), opened(1), opened(0)) == (21, 21, 22)


def test_an_example_question_asks_itself(visit: Visit) -> None:
    expect(visit.page.locator("#examples")).to_be_visible()
    visit.page.locator(".example").first.click()
    expect(visit.page.locator(".turn h2")).to_contain_text("Yanta district members")
    expect(visit.page.locator("#examples")).to_be_hidden()


# ── Adding pages ──────────────────────────────────────────────────────────────────────────────────


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


def test_an_upload_that_is_cut_off_says_so(visit: Visit) -> None:
    visit.give_key()
    visit.context.set_offline(True)
    visit.page.locator("#files").set_input_files([PAGE_FILE])
    expect(visit.page.locator("#report")).to_contain_text("The connection broke")
    expect(visit.page.locator("#progress")).to_be_hidden()


def test_a_key_brings_the_place_to_add_pages_into_sight(visit: Visit) -> None:
    visit.page.set_viewport_size(PHONE)
    visit.page.locator("#browse").click()
    expect(visit.page.locator("#articles li").nth(9)).to_be_attached()
    visit.give_key()
    expect(visit.page.locator("#drop")).to_be_in_viewport()
    expect(visit.page.locator("#files")).to_be_focused()


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
    english: BrowserContext, desk: Desk, address: str
) -> None:
    desk.key = KEY
    for visit in visiting(english, address):
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
    english: BrowserContext, desk: Desk, address: str
) -> None:
    desk.key = KEY
    for visit in visiting(english, address):
        visit.page.locator("#key-cancel").click()
        expect(visit.page.locator("#count")).to_have_text("This needs an API key.")
        expect(visit.page.locator("#examples")).to_be_hidden()
        visit.give_key()
        expect(visit.page.locator("#articles li")).to_have_count(30)
        expect(visit.page.locator("#examples")).to_be_visible()
