"""The visitors of the chat page as fixtures: a pytest plugin that the tests of the page name."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from page_server import Desk, serving
from visits import CHROMIUM, FLAGS, PHONE, Visit, visiting


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    with sync_playwright() as playwright:
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


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """An English visitor at a desk."""
    yield from visiting(browser, address)


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Visit]:
    """A Chinese visitor on a phone."""
    person = {"viewport": PHONE, "locale": "zh-CN", "has_touch": True, "is_mobile": True}
    yield from visiting(browser, address, **person)
