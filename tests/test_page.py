"""The chat page in a real browser: questions, answers, what goes wrong, the real door.

The list of articles and adding to it: test_page_articles.py; keyboards, screen readers, phones,
paper: test_page_for_all.py. All but the last tests run over a stand-in for the door.
"""

import json
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from newsroom import newsroom, serving
from page_server import BUS, ELEVATOR, FERRY, HOSTILE, POLICY, QUOTES, YANTA, Desk, done
from visits import PAGE_FILE, Visit, visiting

pytestmark = pytest.mark.browser
pytest_plugins = ["visitors"]


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


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


def test_a_new_conversation_leaves_the_old_answer_behind(visit: Visit, desk: Desk) -> None:
    desk.delay_s = 0.3
    visit.page.locator("#question").fill("when does the library come?")
    visit.page.locator("#send").click()
    visit.page.locator("#fresh").click()
    turn = visit.ask("the ferry")
    expect(turn.locator(".answer .marker")).to_have_count(1)
    expect(visit.page.locator(".turn")).to_have_count(1)
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
    english: BrowserContext, address: str, desk: Desk
) -> None:
    desk.without = {"feedback", "examples"}
    for visit in visiting(english, address):
        expect(visit.page.locator("#articles li")).to_have_count(30)
        expect(visit.page.locator("#examples")).to_be_hidden()
        turn = visit.ask("the ferry")
        turn.locator(".thumb").first.click()
        expect(turn.locator(".thumb")).to_have_count(0)
        expect(visit.ask("the ferry").locator(".thumb")).to_have_count(0)


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────


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


# ── The browser's own arithmetic ──────────────────────────────────────────────────────────────────


READ = """async (cases) => {
  const { events } = await import("/static/events.js");
  return Promise.all(cases.map(async ([body, size]) => {
    const bytes = new TextEncoder().encode(body);
    const stream = new ReadableStream({ start(to) {
      for (let at = 0; at < bytes.length; at += size) to.enqueue(bytes.slice(at, at + size));
      to.close();
    } });
    const found = [];
    for await (const event of events(stream)) found.push(event);
    return found;
  }));
}"""


def test_events_are_read_whole_however_the_stream_is_cut(visit: Visit) -> None:
    sent = [["passages", {"passages": []}], ["token", {"text": "🚌书屋 a\u2028b"}], ["token", {}]]
    blocks = [f"event: {n}\ndata: {json.dumps(d, ensure_ascii=False)}\n\n" for n, d in sent]
    body = ": ping\n\n" + "".join(blocks)
    sizes = [(body, size) for size in range(1, 40)] + [(body.replace("\n", "\r\n"), 3)]
    assert visit.page.evaluate(READ, sizes) == [sent] * len(sizes)
    closed = [(body[:end], 7) for end in range(len(body))]  # a connection that closes there
    whole = [sent[: max(part.count("\n\n") - 1, 0)] for part, _ in closed]
    assert visit.page.evaluate(READ, closed) == whole


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


# ── On the real door ──────────────────────────────────────────────────────────────────────────────


def test_the_page_works_on_the_real_door_under_its_policy(
    english: BrowserContext, tmp_path: Path
) -> None:
    with serving(newsroom(tmp_path)) as address:
        for visit in visiting(english, address):
            turn = visit.ask("when does the library come?")
            turn.locator(".marker").nth(1).click()
            expect(visit.page.locator("mark")).to_be_in_viewport()
            assert visit.lit() == "给船员办一张不用押金的借书证"
            expect(visit.ask("what is on Mars?")).to_have_class("turn refusal")
            refused = visit.ask("why " * 100)
            expect(refused).to_contain_text("200 characters")
            policy = visit.page.request.get(address).headers["content-security-policy"]
            assert policy == POLICY


def test_the_docs_page_runs_under_its_policy(english: BrowserContext, tmp_path: Path) -> None:
    with serving(newsroom(tmp_path)) as address:
        for visit in visiting(english, address + "/docs"):
            ask = visit.page.locator("#operations-questions-ask")
            ask.locator(".opblock-summary-control").click()
            expect(ask).to_contain_text("conversation_id")
