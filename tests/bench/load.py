"""Many at once: 64 connections that each ask questions of their own, from a second process.

Part of `make bench`. Prints questions/s, p95, errors, what `/healthz` took meanwhile (asked by a
third process) and the memory of the server, beside what a single question costs in CPU time.
Every question is another one, so nothing can be remembered. Exits 1 on an error, where `/healthz`
misses its bar, or, over five minutes and more (`--seconds 600`), where memory grows.
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
from statistics import linear_regression, mean
from urllib.parse import urlsplit

import httpx
from contract import KEY, ROOT, served

QUESTIONS = ROOT / "tests" / "data" / "sample" / "questions.tune.jsonl"
MOST_HEALTH_MS = 50.0  # p99 of /healthz under load
FLAT_S = 300.0  # what is shorter fills caches
MOST_GROWTH = 0.05  # of memory, from the middle third to the last
SHARE = 0.8  # of cores / CPU time of a question: the goal


@dataclass
class Measured:
    """What came of it; times in seconds."""

    took: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    weighed_s: list[float] = field(default_factory=list)  # when each of these was
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
    grown = told_memory(all_)
    return int(bool(all_.errors) or health_ms > MOST_HEALTH_MS or grown)


def told_memory(measured: Measured) -> bool:
    """Prints what memory did; gives whether it grew where it had the time to be flat.

    The middle third is the ground to measure from: in the first one caches and pools fill.
    """
    third = max(1, len(measured.resident_mb) // 3)
    thirds = [measured.resident_mb[at * third :][:third] for at in range(3)]
    first, middle, last = (mean(part or measured.resident_mb) for part in thirds)
    late = measured.resident_mb[third:]
    minutes = [second / 60 for second in measured.weighed_s[third:]]
    slope = linear_regression(minutes, late).slope if len(late) > 2 else 0.0
    print(
        f"  memory        mean of the first, middle and last third {first:.0f}, {middle:.0f},"
        f" {last:.0f} MB, most {max(measured.resident_mb):.0f}, all processes;"
        f" {slope:+.1f} MB a minute after the first"
    )
    return measured.seconds >= FLAT_S and last > (1 + MOST_GROWTH) * middle


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
        measured.weighed_s.append(time.monotonic())
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
