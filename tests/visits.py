"""People who visit the chat page in a real browser: what the tests of the page share.

Their tabs keep what the console says and whom the page calls; both must stay quiet.
"""

import shutil
from collections.abc import Iterator
from typing import cast

from playwright.sync_api import (
    BrowserContext,
    FilePayload,
    Locator,
    Page,
    ViewportSize,
    expect,
)

from page_server import KEY

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # the tabs of one reader share a process: starting one takes long
    "--disable-features=SpareRendererForSitePerProcess",
]
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PAGE_FILE: FilePayload = {"name": "p1.txt", "mimeType": "text/plain", "buffer": "新闻".encode()}


class Visit:
    """One person's tab, which keeps what the console says and whom it calls."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
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
        expect(self.page.locator("#upload")).to_be_visible()

    def lit(self) -> str:
        return "\n".join(self.page.locator("#article-text mark").all_text_contents())

    def style(self, selector: str, name: str) -> str:
        script = "(e, name) => getComputedStyle(e)[name]"
        return cast("str", self.page.locator(selector).first.evaluate(script, name))


def visiting(context: BrowserContext, address: str) -> Iterator[Visit]:
    visit = Visit(context, address)
    yield visit
    visit.page.close()
    context.set_offline(False)
    context.clear_permissions()
    assert visit.complaints == []
    assert visit.hosts <= {address.split("/")[2]}


def no_sideways_scroll(page: Page) -> bool:
    script = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return cast("bool", page.evaluate(script))
