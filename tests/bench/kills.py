"""Kills ingests at random moments, then compares what is there with one clean run.

Fifty kills in five homes: each home is killed ten times, then ingested once to the end. Articles,
passages, the ids in the vector index and what it finds must be those of the clean run. Exits 1
where they aren't.
"""

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from homes import Home, kill_ingest, prose, start_ingest, write_mixed

HOMES, KILLS = 5, 10
LATEST_S = 3.0  # what is done by then is kept, so that the next kill strikes later work
SEED = 20240305
QUESTIONS = [prose(seed)[:80] for seed in (3, 41, 77, 120, 1_003, 2_000)]


def main() -> int:
    """Prints what became of each home."""
    with tempfile.TemporaryDirectory(prefix="wenbao-kills-") as work:
        folder = write_mixed(Path(work) / "papers")
        took = min(_clean(Path(work) / "clean", folder), LATEST_S)
        wanted = _state(Path(work) / "clean")
        found = [_killed(Path(work) / f"home{i}", folder, took, i) for i in range(HOMES)]
        same = [state == wanted for _, state in found]
    struck = sum(count for count, _ in found)
    print(f"{struck} of {HOMES * KILLS} kills struck an ingest at work")
    print(f"{sum(same)} of {HOMES} homes hold what a clean run holds: articles, passages, answers")
    return 0 if all(same) else 1


def _clean(home: Path, folder: Path) -> float:
    """Ingests without a kill; gives the seconds from its start."""
    child = start_ingest(home, folder)
    assert child.stdout is not None
    child.stdout.readline()
    started = time.monotonic()
    child.communicate()
    return time.monotonic() - started


def _killed(home: Path, folder: Path, took: float, number: int) -> tuple[int, Sequence[object]]:
    """How many kills struck a run at work, and what the last, whole run leaves."""
    dice = random.Random(SEED + number)
    struck = sum(kill_ingest(home, folder, dice.uniform(0, took)) for _ in range(KILLS))
    _clean(home, folder)
    print(f"{home.name}: {struck} of {KILLS} kills struck", flush=True)
    return struck, _state(home)


def _state(home: Path) -> Sequence[object]:
    opened = Home.at(home)
    state = (*opened.state(), [opened.nearest(question) for question in QUESTIONS])
    opened.close()
    return state


if __name__ == "__main__":
    sys.exit(main())
