"""Installs Wenbao and its `[bench]` extra into the environment that runs this, peer by peer.

Run by `make bench` in .venv-bench, held to requirements-bench.lock. A peer that can't be installed
doesn't keep the others out: it is named, and its row in the table says that it failed.
`--lock` takes what pip finds instead, and writes the lock anew.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-bench.lock"
_HEAD = """\
# Exact versions of everything in .venv-bench, where `make bench` runs the peers.
# Made by `.venv-bench/bin/python tests/bench/install.py --lock` on Linux x86-64 with Python 3.11;
# constraints only, nothing is installed for standing here.
"""


def main() -> int:
    """Installs one after the other; 1 only if Wenbao itself can't be installed."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    peers = tomllib.loads(text)["project"]["optional-dependencies"]["bench"]
    held = [] if "--lock" in sys.argv else ["-c", str(LOCK)]
    if not _pip("install", "-qq", *held, "-e", str(ROOT)):
        return 1
    for peer in peers:
        if not _pip("install", "-qq", *held, peer):
            print(f"\n{peer} can't be installed; its row will say so.", file=sys.stderr)
    if not held:
        LOCK.write_text(_HEAD + _frozen(), encoding="utf-8")
    return 0


def _pip(*arguments: str) -> bool:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], check=False).returncode == 0


def _frozen() -> str:
    """What is installed; a local label such as +cpu names a build, not a version."""
    command = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude", "wenbao"]
    done = subprocess.run(
        [*command, "--exclude", "pip"], capture_output=True, text=True, check=True
    )
    lines = sorted(done.stdout.splitlines(), key=str.lower)
    return "".join(re.sub(r"\+[A-Za-z0-9.]*$", "", line) + "\n" for line in lines if "==" in line)


if __name__ == "__main__":
    sys.exit(main())
