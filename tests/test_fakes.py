"""The stand-ins and guards keep their promises, else no test that uses them means anything."""

import socket
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.embedder import Embedder
from fakes import HashingEmbedder

TEXTS = ["西安市雁塔区政协建议数据共享", "雁塔区政协：建议共享数据", "天气晴朗，适合出游"]


def test_shared_character_pairs_are_close() -> None:
    embedder: Embedder = HashingEmbedder()
    near, nearer, far = embedder.embed_passages(TEXTS) @ embedder.embed_query(TEXTS[0]).vector
    assert near == pytest.approx(1, abs=1e-5)
    assert near > nearer > far + 0.2


@given(st.text())
def test_every_vector_has_length_one(text: str) -> None:
    vector = HashingEmbedder(64).embed_query(text).vector
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@given(st.text())
def test_tokens_are_pairs_of_the_text(text: str) -> None:
    tokens = HashingEmbedder(64).read([text])[0].tokens
    assert len(tokens.vectors) == len(tokens.starts) == len(tokens.ends)
    assert (tokens.ends - tokens.starts == 2).all()
    assert (tokens.ends <= len(text)).all()


def test_no_text_gives_an_empty_table() -> None:
    assert HashingEmbedder(64).embed_passages([]).shape == (0, 64)


def test_the_network_is_out_of_reach_and_trying_is_noted(no_network: list[str]) -> None:
    with pytest.raises(URLError, match="no network"):
        urllib.request.urlopen("http://example.org", timeout=1)
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    assert len(no_network) == 2
    no_network.clear()


def test_this_machine_is_within_reach() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2], timeout=1),
    ):
        pass
