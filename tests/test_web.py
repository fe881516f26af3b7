"""What an address gives, from a real server; and that no private address is ever asked."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from homes import Home
from rag import generations, ingest, readers
from rag.errors import UnreadableFile
from rag.formats import web
from rag.formats.sandbox import Sandbox
from rag.formats.web import Fetched, Web

Reply = tuple[int, dict[str, str], bytes]
ARTICLE = """<!doctype html><html><head><title>新桥通车_河边报</title>
<meta property="og:title" content="新桥通车"><meta property="og:site_name" content="河边报">
<meta property="article:published_time" content="2024-03-05T08:00:00+08:00"></head><body>
<nav><a href="/">首页</a> <a href="/sport">体育</a></nav><article><h1>新桥通车</h1>
<p>河上的新桥昨天上午通车，桥长三百米，两岸的孩子上学不用再坐船，也不必绕路走老街。</p>
<p>桥工老秦说，他守了三十年渡口，今天第一次走着过河，从东岸到西岸只用了五分钟。</p></article>
<footer>版权所有 河边报社</footer></body></html>"""
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>河边报</title>
<link>/</link><item><title>新桥通车</title><link>/bridge</link></item>
<item><title>没有了</title><link>/gone</link></item><item><link>file:///etc/passwd</link></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><link rel="self" href="/x"/>
<link rel="alternate" href="/bridge"/></entry></feed>"""
HTML = {"Content-Type": "text/html; charset=utf-8"}


class _Server:
    """Gives what its table says; an entry may be called with what is asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Reply | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[dict[str, str]] = []
        pages, asked = self.pages, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(dict(self.headers))
                page = pages.get(self.path, (404, {}, b""))
                if callable(page):
                    page(self)
                    return
                status, headers, content = page
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[_Server]:
    made = _Server()
    made.pages["/bridge"] = (200, HTML, ARTICLE.encode())
    made.pages["/feed"] = (200, {"Content-Type": "application/rss+xml"}, FEED.encode())
    yield made
    made.close()


@pytest.fixture
def anywhere() -> Web:
    """A web that may reach this machine, where the test's server is."""
    return Web(may_reach=lambda address: True)


def _sentence_of(reach: Web, url: str) -> str:
    with pytest.raises(UnreadableFile) as caught:
        reach.fetch(url)
    return str(caught.value)


# ---- pages and feeds ---------------------------------------------------------------------------


def test_an_article_page_gives_its_article(server: _Server, anywhere: Web) -> None:
    (sheet,) = readers.sheets(f"{server.url}/bridge", anywhere)
    with Sandbox() as sandbox:
        (article,) = readers.articles_of(sheet, sandbox)
    assert (article.title, article.date, article.source) == ("新桥通车", "2024-03-05", "河边报")
    assert article.text.startswith("河上的新桥昨天") and article.text.endswith("五分钟。")
    assert article.path == f"{server.url}/bridge"


def test_a_feed_gives_its_entries_and_names_those_that_are_gone(
    server: _Server, anywhere: Web
) -> None:
    sheets = list(readers.sheets(f"{server.url}/feed", anywhere))
    assert [sheet.name.removeprefix(server.url) for sheet in sheets] == ["/bridge", "/gone"]
    assert [bool(sheet.error) for sheet in sheets] == [False, True]
    assert "404" in sheets[1].error


@pytest.mark.parametrize("content", [FEED, ATOM], ids=["rss", "atom"])
def test_both_kinds_of_feed_list_their_pages(content: str) -> None:
    found = web.entries(Fetched("http://paper.example/feed", content.encode(), "", ""))
    assert found is not None
    assert found[0] == "http://paper.example/bridge"
    assert not any(url.startswith("file:") for url in found)


def test_a_feed_may_list_what_is_no_address(anywhere: Web) -> None:
    content = "<rss><item><link>http://[::1</link></item><item><link>/a</link></item></rss>"
    found = web.entries(Fetched("http://paper.example/feed", content.encode(), "", ""))
    assert found == ["http://[::1", "http://paper.example/a"]
    assert "check the address" in _sentence_of(anywhere, found[0])


def test_a_page_is_no_feed() -> None:
    assert web.entries(Fetched("http://paper.example/", ARTICLE.encode(), "text/html", "")) is None


def test_a_feed_that_is_a_bomb_is_refused() -> None:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a0 "x">{entities}]><rss>&a9;</rss>'
    with pytest.raises(UnreadableFile, match="feed that can't be read"):
        web.entries(Fetched("http://paper.example/feed", bomb.encode(), "", ""))


def test_a_url_is_ingested_updated_and_kept_by_sync(
    server: _Server, anywhere: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "verify", generations._probe)
    home = Home.at(tmp_path / "home")
    url = f"{server.url}/bridge"
    first = home.ingest(url, reach=anywhere)
    again = home.ingest(url, tmp_path, sync=True, reach=anywhere)
    assert (first.added, again.unchanged, again.removed) == (1, 1, 0)
    server.pages["/bridge"] = (200, HTML, ARTICLE.replace("五分钟", "四分钟").encode())
    assert home.ingest(url, reach=anywhere).updated == 1
    server.pages["/bridge"] = (500, {}, b"")
    away = home.ingest(url, reach=anywhere)
    assert (len(away.failed), away.articles) == (1, 1)
    home.close()


def test_nobody_waits_while_pages_are_fetched(
    server: _Server, anywhere: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "verify", generations._probe)
    home, other = Home.at(tmp_path / "home"), Home.at(tmp_path / "home")
    locked: list[bool] = []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        locked.append(other.index.is_being_written())
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.end_headers()
        handler.wfile.write(ARTICLE.encode())

    server.pages["/bridge"] = slow
    report = home.ingest(f"{server.url}/feed", f"{server.url}/bridge", reach=anywhere)
    assert (report.added, report.unchanged, len(report.failed)) == (1, 1, 1)
    assert locked == [False, False]
    monkeypatch.setattr(ingest, "MAX_FETCHED", 100)
    (failed,) = home.ingest(f"{server.url}/bridge", reach=anywhere).failed
    assert "ingest it by itself" in failed["error"]
    assert home.records.counts().articles == 1
    home.close()
    other.close()


# ---- limits ------------------------------------------------------------------------------------


def test_a_redirect_is_followed_and_a_circle_is_not(server: _Server, anywhere: Web) -> None:
    server.pages["/old"] = (302, {"Location": "/bridge"}, b"")
    server.pages["/circle"] = (302, {"Location": "/circle"}, b"")
    assert anywhere.fetch(f"{server.url}/old").url == f"{server.url}/bridge"
    server.pages["/nowhere"] = (302, {}, b"")
    assert "redirected too often" in _sentence_of(anywhere, f"{server.url}/circle")
    assert "status 302" in _sentence_of(anywhere, f"{server.url}/nowhere")


def test_what_is_too_large_is_left(
    server: _Server, anywhere: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 1024 * 1024)

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            return

    server.pages["/endless"] = endless
    assert "larger than 1 MB" in _sentence_of(anywhere, f"{server.url}/endless")


def test_what_comes_too_slowly_is_left(
    server: _Server, anywhere: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TIME_LIMIT_S", 0.3)
    enough = threading.Event()

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            if enough.wait(0.1):
                return

    def dripping_headers(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while not enough.wait(0.1):
            handler.wfile.write(b"x")

    server.pages |= {"/slow": dripping, "/slower": dripping_headers}
    assert "takes longer than" in _sentence_of(anywhere, f"{server.url}/slow")
    assert "takes longer than" in _sentence_of(anywhere, f"{server.url}/slower")
    enough.set()


def test_what_is_sent_packed_is_not_unpacked(server: _Server, anywhere: Web) -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    server.pages["/packed"] = (200, {"Content-Encoding": "gzip"}, packed)
    assert "packed" in _sentence_of(anywhere, f"{server.url}/packed")
    assert server.asked[-1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("url", ["http://", "http://:80/", "http://127.0.0.1:1/x"])
def test_an_address_that_is_none_is_one_sentence(anywhere: Web, url: str) -> None:
    assert _sentence_of(anywhere, url).endswith(".")


# ---- private addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[fd00::1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[::7f00:1]",
        "[fec0::1]",
    ],
)
def test_a_private_address_is_never_asked(host: str) -> None:
    assert "private address" in _sentence_of(Web(), f"http://{host}:80/")


def test_a_redirect_to_a_private_address_is_not_followed(server: _Server) -> None:
    reach = Web(may_reach=lambda address: address == "127.0.0.1")
    server.pages["/trap"] = (302, {"Location": "http://169.254.169.254/secret"}, b"")
    server.pages["/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    assert "private address" in _sentence_of(reach, f"{server.url}/trap")
    assert "no web address" in _sentence_of(reach, f"{server.url}/file")


def test_an_address_in_an_odd_spelling_is_looked_up_and_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch, ["127.0.0.1"])
    assert "private address" in _sentence_of(Web(), "http://x7f.1/")


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch, ["93.184.215.14", "10.0.0.1"])
    assert "private address" in _sentence_of(Web(), "http://paper.example/")


def test_the_address_that_was_checked_is_the_one_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    """A name that points elsewhere a moment later (DNS rebinding) gains nothing."""
    asked = _resolve(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    assert "can't be fetched" in _sentence_of(Web(), "http://paper.example/")
    assert asked == ["paper.example"]
    assert no_network == ["socket.connect '93.184.215.14'"]
    no_network.clear()


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Gives these addresses for any name, one list after another; gives the names asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int, *args: object, **more: object) -> list[object]:
        found = [host]
        if not host[0].isdigit():
            asked.append(host)
            found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked
