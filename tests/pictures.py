"""Takes the README's pictures of the chat page: `python tests/pictures.py`.

They show the sample articles, over the stand-in for the door, so that no model is needed. Wants
chromium and Chinese fonts (`sh .ci/browser`).
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from page_server import FERRY, Desk, samples, serving
from visits import CHROMIUM, DESK, FLAGS

FOLDER = Path(__file__).parent / "data" / "pictures"


def take(browser: Browser, address: str, name: str, question: str, **person: str) -> None:
    """One question, answered, with the article of its first quote open beside it."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce", **person)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.locator("#question").fill(question)
    page.locator("#question").press("Enter")
    page.locator(".answer .marker").first.click()
    page.locator("mark").first.wait_for()
    page.mouse.move(0, 0)
    page.screenshot(path=FOLDER / name)
    context.close()


def main() -> int:
    """Takes both; gives the exit status."""
    if CHROMIUM is None:
        print("There is no chromium on PATH: install Debian's chromium.", file=sys.stderr)
        return 3
    FOLDER.mkdir(exist_ok=True)
    desk = Desk(articles=[*samples(), FERRY])
    with sync_playwright() as playwright, serving(desk) as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        english = "What did the Yanta district members propose for old people?"
        take(browser, address, "page.png", english, locale="en-GB")
        chinese = "天心区今年还要加装多少部电梯？洱源县去年建成了多少个生态库塘？"
        take(browser, address, "page-dark.png", chinese, locale="zh-CN", color_scheme="dark")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
