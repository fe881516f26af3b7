"""The HTTP door against its own OpenAPI document: schemathesis makes requests up, none breaks it.

Part of `make bench`. schemathesis is installed into an environment of its own, since it pins what
Wenbao doesn't. The server is the real one over a copy of the sample pages, with a key, without
limits in rate. Every check that schemathesis has is on; exits 1 where one fails.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "tests" / "data" / "sample" / "pages"
PINNED = "schemathesis==4.32.5"
KEY = "contract-key"
# A document can't say what a file holds: schemathesis sends pictures, which are refused rightly.
CONFIG = """
[[operations]]
include-name = "POST /v1/articles"
checks.positive_data_acceptance.expected-statuses = ["202", "401", "403", "415", "422"]

# Nor that one day is before another.
[[operations]]
include-name = "POST /v1/ask"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]

[[operations]]
include-name = "POST /v1/search"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422"]
"""


def main() -> int:
    """Runs the cases; 0 when every check holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv-bench" / "contract")
    parser.add_argument("--cache", type=Path, default=ROOT / ".wenbao" / "models")
    parser.add_argument("--examples", type=int, default=200, help="cases a route, at most")
    chosen = parser.parse_args()
    command = installed(chosen.environment)
    with (
        tempfile.TemporaryDirectory(prefix="wenbao-contract-") as folder,
        served(Path(folder), chosen.cache) as address,
    ):
        config = Path(folder) / "schemathesis.toml"
        config.write_text(CONFIG, encoding="utf-8")
        line = [*command, "--config-file", str(config), *arguments(address, chosen.examples)]
        return subprocess.run(line, cwd=folder, check=False).returncode


def arguments(address: str, examples: int) -> list[str]:
    """What schemathesis is told."""
    return [
        *("run", f"{address}/openapi.json", "--url", address, "--no-color"),
        *("--header", f"Authorization: Bearer {KEY}", "--checks", "all"),
        *("--max-examples", str(examples), "--continue-on-failure", "--seed", "1"),
        *("--request-timeout", "30", "--suppress-health-check", "all"),
    ]


def installed(environment: Path) -> list[str]:
    """The command of schemathesis, installed on first use."""
    command = environment / "bin" / "st"
    if not command.exists():
        venv.create(environment, with_pip=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-qq", PINNED]
        subprocess.run(pip, check=True)
    return [str(command)]


@contextmanager
def served(home: Path, cache: Path, options: Sequence[str] = ()) -> Iterator[str]:
    """`wenbao serve` over the sample pages; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith("WENBAO_")} | {
        "PYTHONPATH": str(ROOT),
        "WENBAO_HOME": str(home),
        "WENBAO_MODEL_CACHE": str(cache),
        "WENBAO_API_KEYS": KEY,
        "WENBAO_ADDRESS_RATE": "0",
        "WENBAO_KEY_RATE": "0",
    }
    wenbao = [sys.executable, "-m", "bot"]
    subprocess.run([*wenbao, "ingest", str(PAGES), "--json"], env=env, cwd=home, check=True)
    server = [*wenbao, "serve", "--port", str(port), *options]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(server, env=env, cwd=home) as process:
        try:
            _wait(f"{address}/readyz")
            yield address
        finally:
            process.terminate()


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} doesn't come")


if __name__ == "__main__":
    sys.exit(main())
