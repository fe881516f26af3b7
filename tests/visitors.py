"""The visitors of the chat page as fixtures: a pytest plugin that the tests of the page name."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from page_server import Desk, serving
from visits import CHROMIUM, DESK, FLAGS, PHONE, Visit, visiting


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def english(browser: Browser) -> Iterator[BrowserContext]:
    """The browser of an English reader at a desk; each test has a server, a tab and storage."""
    with browser.new_context(viewport=DESK, locale="en-GB", reduced_motion="reduce") as context:
        yield context


@pytest.fixture(scope="module")
def chinese(browser: Browser) -> Iterator[BrowserContext]:
    """The browser of a Chinese reader on a phone."""
    with browser.new_context(
        viewport=PHONE, locale="zh-CN", reduced_motion="reduce", has_touch=True, is_mobile=True
    ) as context:
        yield context


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with serving(desk) as address:
        yield address


@pytest.fixture
def visit(english: BrowserContext, address: str) -> Iterator[Visit]:
    yield from visiting(english, address)


@pytest.fixture
def phone(chinese: BrowserContext, address: str) -> Iterator[Visit]:
    yield from visiting(chinese, address)
