"""An address on the web -> bytes, within limits, and never of a machine that isn't public.

A name is looked up once, every address of it is checked, and the connection goes to one that was
checked: a name that changes its address in between gains nothing. Redirects are checked anew.
Does not run scripts, keep cookies, or use a proxy.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from rag.errors import UnreadableFile

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 20 * 1024 * 1024
MAX_ENTRIES = 200  # of a feed
TIME_LIMIT_S = 30.0  # for one page with its redirects
_WAIT_S = 10.0  # for a connection, and for each piece of a reply
_MAX_REDIRECTS = 5
_FEED_TAGS = ("rss", "feed", "RDF")
_ITEMS = ("item", "entry")
_OVER_IPV4 = (ip_network("64:ff9b::/96"), ip_network("::/96"))


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave; `url` is where it was found in the end."""

    url: str
    content: bytes
    kind: str
    charset: str


def is_url(place: str) -> bool:
    """Whether this names something on the web."""
    return place.lower().startswith(("http://", "https://"))


def is_public(address: str) -> bool:
    """Whether an IP address is of the open internet: not this machine, its network, or special."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or _translated(found)
        if found.is_site_local or (inner is not None and not inner.is_global):
            return False
    return found.is_global and not found.is_multicast


def _translated(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a gateway makes of an IPv6 one, or that old notation holds."""
    if any(address in network for network in _OVER_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Web:
    """Fetches; `may_reach` says which addresses may be connected to."""

    def __init__(self, may_reach: Callable[[str], bool] = is_public) -> None:
        self._may_reach = may_reach

    def fetch(self, url: str) -> Fetched:
        """What an http or https address gives.

        Raises:
            UnreadableFile: with what went wrong, the second half of a sentence.
        """
        import httpx

        deadline = time.monotonic() + TIME_LIMIT_S
        try:
            with httpx.Client(timeout=_WAIT_S, trust_env=False) as client, _ended(client):
                for _ in range(_MAX_REDIRECTS + 1):
                    found = self._step(client, url, deadline)
                    if isinstance(found, Fetched):
                        return found
                    url = found
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, ValueError, OSError) as exc:
            _check_time(deadline)
            words = f"can't be fetched ({type(exc).__name__}); check the address."
            raise UnreadableFile(words) from exc
        raise UnreadableFile("is redirected too often; give the address it leads to.")

    def _step(self, client: "httpx.Client", url: str, deadline: float) -> "Fetched | str":
        """The reply of an address, or the address that it points to."""
        _check_time(deadline)
        with client.stream(**self._request(url)) as reply:  # type: ignore[arg-type]  # a dict of arguments
            if reply.has_redirect_location:
                return urljoin(url, reply.headers["location"])
            if reply.status_code != 200:
                raise UnreadableFile(f"answers with status {reply.status_code}; check the address.")
            if reply.headers.get("content-encoding", "identity") != "identity":
                raise UnreadableFile("is sent packed though that wasn't asked for; download it.")
            content = _content(reply, deadline)
            kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Fetched(url, content, kind, reply.charset_encoding or "")

    def _request(self, url: str) -> dict[str, object]:
        """What to send, and to which checked address."""
        import httpx

        asked = httpx.URL(url)
        if asked.scheme not in ("http", "https") or not asked.host:
            raise UnreadableFile("leads to what is no web address; only http and https are read.")
        host = asked.raw_host.decode("ascii")
        headers = {"Accept-Encoding": "identity", "User-Agent": "wenbao"}
        return {
            "method": "GET",
            "url": asked.copy_with(host=self._address(host, asked.port or 443)),
            "headers": {**headers, "Host": asked.netloc.decode("ascii")},
            "extensions": {"sni_hostname": host},
        }

    def _address(self, host: str, port: int) -> str:
        """An address of a host; all of them must be allowed."""
        addresses = _looked_up(host.strip("[]"), port)
        if not addresses or not all(map(self._may_reach, addresses)):
            raise UnreadableFile("leads to a private address; save the page as a file instead.")
        return addresses[0]


def _looked_up(host: str, port: int) -> list[str]:
    """The addresses of a host, which may be one itself."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise UnreadableFile("is at a host that can't be found; check the address.") from exc
    return [str(entry[4][0]) for entry in found]


def _content(reply: "httpx.Response", deadline: float) -> bytes:
    """The body, as long as it keeps to the limits."""
    content = bytearray()
    for piece in reply.iter_raw():
        content += piece
        if len(content) > MAX_BYTES:
            raise UnreadableFile(f"is larger than {MAX_BYTES // 1024 // 1024} MB.")
        _check_time(deadline)
    return bytes(content)


def _check_time(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise UnreadableFile(f"takes longer than {TIME_LIMIT_S:.0f} s; try again later.")


@contextlib.contextmanager
def _ended(client: "httpx.Client") -> Iterator[None]:
    """Ends a client at the time limit: headers that come byte by byte keep to every other one."""
    timer = threading.Timer(TIME_LIMIT_S, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def entries(fetched: Fetched) -> list[str] | None:
    """The addresses that an RSS or Atom feed lists, each once; None if this is no feed.

    Raises:
        UnreadableFile: if it is a feed that isn't well-formed, or one with a document type.
    """
    head = fetched.content[:1024].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if not head.startswith((b"<?xml", b"<rss", b"<feed", b"<rdf")) or b"<html" in head:
        return None
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(fetched.content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as exc:
        raise UnreadableFile("is a feed that can't be read; check it in a browser.") from exc
    if _tag(root.tag) not in _FEED_TAGS:
        return None
    links = [_link(item) for item in root.iter() if _tag(item.tag) in _ITEMS]
    found = dict.fromkeys(_joined(fetched.url, link) for link in links if link)
    return [url for url in found if is_url(url)][:MAX_ENTRIES]


def _joined(url: str, link: str) -> str:
    """An absolute address; a link that is none comes back as it is, to be refused by `fetch`."""
    try:
        return urljoin(url, link)
    except ValueError:
        return link


def _tag(name: object) -> str:
    """An element's name without its namespace."""
    return str(name).rpartition("}")[2]


def _link(item: "object") -> str:
    """The address of an item's page, "" if it gives none."""
    found = ""
    for part in item:  # type: ignore[attr-defined]  # an XML element
        if _tag(part.tag) == "link" and part.get("rel", "alternate") == "alternate":
            found = found or (part.get("href") or part.text or "").strip()
    return found
