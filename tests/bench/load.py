"""Many at once: 64 connections that each ask questions of their own, from a second process.

Part of `make bench`. Prints questions/s, p95, errors, what `/healthz` took meanwhile (asked by a
third process) and the memory of the server, beside what a single question costs in CPU time.
Every question is another one, so nothing can be remembered. Exits 1 on an error, or where
`/healthz` misses its bar.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count, product
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from contract import KEY, ROOT, served

QUESTIONS = ROOT / "tests" / "data" / "sample" / "questions.tune.jsonl"
MOST_HEALTH_MS = 50.0  # p99 of /healthz under load
SHARE = 0.8  # of cores / CPU time of a question: the goal


@dataclass
class Measured:
    """What came of it; times in seconds."""

    took: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0


def main() -> int:
    """Measures and prints; 0 when the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".wenbao" / "models")
    chosen = parser.parse_args()
    options = ["--workers", str(chosen.workers)] if chosen.workers > 1 else []
    with (
        tempfile.TemporaryDirectory(prefix="wenbao-load-") as folder,
        served(Path(folder), chosen.cache, options) as address,
        ProcessPoolExecutor(1) as watcher,
    ):
        watcher.submit(_healthy, address, 0.0).result()  # the process has started
        alone = asyncio.run(load(address, 1, min(10.0, chosen.seconds), watcher))
        many = asyncio.run(load(address, chosen.connections, chosen.seconds, watcher))
    return report(alone, many)


def report(one: Measured, all_: Measured) -> int:
    """Prints what was measured; 0 when the bars are met."""
    cost_s = one.cpu_s / max(1, len(one.took))
    cores = len(os.sched_getaffinity(0))
    rate, best = len(all_.took) / all_.seconds, cores / cost_s
    health_ms = 1000 * at(all_.health, 0.99)
    print(f"one at a time   p50 {1000 * at(one.took, 0.5):.0f} ms, CPU {1000 * cost_s:.0f} ms each")
    print(f"many at once    {rate:.1f} questions/s, p95 {at(all_.took, 0.95):.2f} s")
    print(f"  of the most   {rate / best:.2f} ({cores} cores / CPU time; goal {SHARE})")
    print(f"  CPU           {1000 * all_.cpu_s / max(1, len(all_.took)):.0f} ms a question")
    print(f"  errors        {len(all_.errors)} {all_.errors[:3] or ''}")
    print(
        f"  /healthz      p50 {1000 * at(all_.health, 0.5):.0f}, p99 {health_ms:.0f}, most"
        f" {1000 * at(all_.health, 1.0):.0f} ms of {len(all_.health)} (bar {MOST_HEALTH_MS:.0f})"
    )
    print(
        f"  memory        {all_.resident_mb[0]:.0f} -> {all_.resident_mb[-1]:.0f} MB, all processes"
    )
    return int(bool(all_.errors) or health_ms > MOST_HEALTH_MS)


async def load(
    address: str, connections: int, seconds: float, watcher: ProcessPoolExecutor
) -> Measured:
    """Asks for so long, and waits for the last answers."""
    measured, before, began = Measured(), _cpu_s(), time.monotonic()
    ends = began + seconds
    asked = questions()
    healthy = asyncio.get_running_loop().run_in_executor(watcher, _healthy, address, seconds)
    limits = httpx.Limits(max_connections=connections)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        base_url=address, headers=headers, limits=limits, timeout=60
    ) as client:
        askers = [_ask(client, asked, ends, measured) for _ in range(connections)]
        await asyncio.gather(_weigh(ends, measured), *askers)
    measured.health = await healthy
    measured.seconds = time.monotonic() - began
    measured.cpu_s = _cpu_s() - before
    return measured


async def _ask(
    client: httpx.AsyncClient, asked: Iterator[str], ends: float, measured: Measured
) -> None:
    while time.monotonic() < ends:
        began = time.monotonic()
        try:
            response = await client.post("/v1/ask", json={"question": next(asked)})
        except httpx.HTTPError as exc:
            measured.errors.append(type(exc).__name__)
            continue
        measured.took.append(time.monotonic() - began)
        if response.status_code != 200:
            measured.errors.append(f"{response.status_code} {response.text[:80]}")


async def _weigh(ends: float, measured: Measured) -> None:
    while time.monotonic() < ends:
        measured.resident_mb.append(await asyncio.to_thread(_resident_mb))
        await asyncio.sleep(1.0)


def _healthy(address: str, seconds: float) -> list[float]:
    """What `/healthz` took, asked for so long; in seconds."""
    took: list[float] = []
    ends = time.monotonic() + seconds
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    while (began := time.monotonic()) < ends:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took.append(time.monotonic() - began)
        time.sleep(0.05)
    return took


def questions() -> Iterator[str]:
    """Questions without end, none twice: each of the sample's with another one's words added."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["question"] for line in lines]
    yield from texts
    for number in count(1):
        for first, second in product(texts, texts):
            yield f"{first} {second[: 4 + number]}"


def at(values: list[float], share: float) -> float:
    """A quantile; infinite where nothing was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


# ── The server's processes: the children of this one, and theirs ────────────────────────────────


def _children() -> list[str]:
    line = ["ps", "-o", "pid=,ppid=", "-A"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    pairs = [row.split() for row in shown.splitlines()]
    found = [str(os.getpid())]
    for parent in found:
        found += [pid for pid, its_parent in pairs if its_parent == parent]
    return found[1:]


def _cpu_s() -> float:
    total = 0.0
    for pid in _children():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / 100
    return total


def _resident_mb() -> float:
    total = 0.0
    for pid in _children():
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
        except OSError:
            continue
    return total


if __name__ == "__main__":
    sys.exit(main())
