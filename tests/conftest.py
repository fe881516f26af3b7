"""What every test stands on: no network, a clean environment, the model built once."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from bot.settings import Settings
from bot.wiring import App, open_app
from embeddings import serving
from embeddings.embedder import Embedder
from fakes import HashingEmbedder
from homes import Home
from rag import generations

if TYPE_CHECKING:
    from fake_telegram import FakeTelegram
    from telegram_house import FakeApp

ROOT = Path(__file__).parents[1]
STATE = ROOT / ".wenbao"
SAMPLE = Path(__file__).parent / "data" / "sample"

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is first imported

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("default")


class _NetworkGuard:
    """Refuses every connection and look-up that would leave this machine, and remembers it.

    An audit hook sees what Python's sockets do, in any thread. It doesn't see libraries that bring
    their own sockets, nor child processes.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.open = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = args[1]
            host = address[0] if isinstance(address, tuple) else None
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = args[0]
        else:
            return
        if not self.open and not _is_here(host):
            self.refused.append(f"{event} {host!r}")
            raise OSError(f"Tests use no network: {event} {host!r}")


def _is_here(host: object) -> bool:
    """Whether a host is this machine; None is a Unix socket or an address to listen on."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in ("", "localhost"):
        return True
    try:
        address = ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


_guard = _NetworkGuard()


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What was refused; a test that doesn't empty it fails, even where its code swallowed it."""
    _guard.open = request.node.get_closest_marker("live") is not None
    _guard.refused.clear()
    yield _guard.refused
    _guard.open = False
    assert not _guard.refused


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests don't count."""
    _forget_settings(monkeypatch)


def _forget_settings(patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WENBAO_")]:
        patch.delenv(name)


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe of an index in this process: no second for a child with every ingest."""
    monkeypatch.setattr(generations, "verify", generations._probe)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home, with an embedder that costs nothing."""
    opened = Home.at(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """The folder of the default model, built by the first run and kept for all later ones."""
    cache = STATE / "models"
    serving.load("packaged", cache)
    return cache


@pytest.fixture(scope="session")
def embedder(model_cache: Path) -> Embedder:
    """The default model."""
    return serving.load("packaged", model_cache)


@pytest.fixture(scope="session")
def sample_app(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The house over the sample pages, indexed once with the default model; nobody changes it."""
    home = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        _forget_settings(patch)
        settings = Settings(home=home, model_cache=model_cache, _env_file=None)
    app = open_app(settings)
    app.ingest([SAMPLE / "pages"])
    yield app
    app.close()


@pytest.fixture
def sample_home(sample_app: App, tmp_path: Path) -> Path:
    """A copy of the home of `sample_app`, to change."""
    return copytree(sample_app.settings.home, tmp_path / "home")


@pytest.fixture
def hashing_embedder() -> HashingEmbedder:
    """A behaving stand-in that costs nothing."""
    return HashingEmbedder()


@pytest.fixture
async def telegram() -> AsyncIterator["FakeTelegram"]:
    """A Bot API server of its own for each test."""
    from fake_telegram import FakeTelegram

    async with FakeTelegram() as made:
        yield made


@pytest.fixture
async def house(telegram: "FakeTelegram", tmp_path: Path) -> AsyncIterator["FakeApp"]:
    """The house whose bot polls that server."""
    from telegram_house import app_for, polling

    made = app_for(telegram, tmp_path)
    async with polling(made):
        yield made
