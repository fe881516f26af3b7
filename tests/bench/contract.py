"""The HTTP door by its OpenAPI document: a client made of it works, made-up requests break nothing.

Part of `make bench`. A client is generated, which asks; then schemathesis makes requests up. Both
tools are installed into an environment of their own, since they pin what Wenbao doesn't. The server
is the real one over a copy of the sample pages, with a key, without limits in rate. Every check
that schemathesis has is on; exits 1 where one fails, or where fewer cases came about than there
should be.
"""

import argparse
import json
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
PINNED = ("schemathesis==4.32.5", "openapi-python-client==0.29.1")
KEY = "contract-key"
LEAST_CASES = 2_000
EXAMPLES = 300  # cases a route and phase, at most; few routes have room for so many
# What a program does with the client: asks, and finds each quote in its article.
CLIENT = """
import sys
from wenbao_client import AuthenticatedClient
from wenbao_client.api.articles import article, articles
from wenbao_client.api.questions import ask
from wenbao_client.models import AskBody

client = AuthenticatedClient(sys.argv[1], sys.argv[2], raise_on_unexpected_status=True)
answer = ask.sync(client=client, body=AskBody(question="天心区今年还要装多少部电梯？"))
assert answer.citations, answer
for each in answer.citations:
    text = article.sync(each.article_id, client=client).text
    assert text[each.start : each.end] == each.quote
listed = articles.sync(client=client, limit=5)
assert len(listed.articles) == 5 and listed.next_cursor
print(f"client  generated; asks, lists, reads; each of {len(answer.citations)} quotes in its place")
"""
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
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    chosen = parser.parse_args()
    tools = installed(chosen.environment)
    with (
        tempfile.TemporaryDirectory(prefix="wenbao-contract-") as folder,
        served(Path(folder), chosen.cache) as address,
    ):
        generated = generate(tools, address, Path(folder))
        return made_up(tools, address, Path(folder), chosen.examples) or generated


def generate(tools: Path, address: str, folder: Path) -> int:
    """A client made from the document alone asks and reads; 0 where it can."""
    config = folder / "client.json"
    named = {"package_name_override": "wenbao_client", "post_hooks": []}  # nobody reads the code
    config.write_text(json.dumps(named), encoding="utf-8")
    line = [str(tools / "openapi-python-client"), "generate", "--url", f"{address}/openapi.json"]
    line += ["--meta", "none", "--output-path", "wenbao_client", "--config", str(config)]
    subprocess.run(line, cwd=folder, check=True)
    ask = [str(tools / "python"), "-c", CLIENT, address, KEY]
    return subprocess.run(ask, cwd=folder, check=False).returncode


def made_up(tools: Path, address: str, folder: Path, examples: int) -> int:
    """What schemathesis makes up is answered as the document says; 0 where it is."""
    config, report = folder / "schemathesis.toml", folder / "report.json"
    config.write_text(CONFIG, encoding="utf-8")
    line = [str(tools / "st"), "--config-file", str(config), *arguments(address, examples)]
    line += ["--report-json-path", str(report)]
    status = subprocess.run(line, cwd=folder, check=False).returncode
    cases = json.loads(report.read_text(encoding="utf-8"))["test_cases"]["generated"]
    print(f"cases   {cases} (at least {LEAST_CASES})")
    return status or int(cases < LEAST_CASES)


def arguments(address: str, examples: int) -> list[str]:
    """What schemathesis is told."""
    return [
        *("run", f"{address}/openapi.json", "--url", address, "--no-color"),
        *("--header", f"Authorization: Bearer {KEY}", "--checks", "all"),
        *("--max-examples", str(examples), "--continue-on-failure", "--seed", "1"),
        *("--request-timeout", "30", "--suppress-health-check", "all"),
    ]


def installed(environment: Path) -> Path:
    """Where the commands of both tools are, installed on first use."""
    tools = environment / "bin"
    if not all((tools / name).exists() for name in ("st", "openapi-python-client")):
        venv.create(environment, with_pip=True)
        pip = [str(tools / "python"), "-m", "pip", "install", "-qq", *PINNED]
        subprocess.run(pip, check=True)
    return tools


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
