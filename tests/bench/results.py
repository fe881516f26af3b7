"""RESULTS.md: what the benchmarks found, a section each, with the machine and the date."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PATH = Path(__file__).with_name("RESULTS.md")
SECTIONS = ("peers", "scale", "speed", "checks")  # in this order
_HEAD = """# What was measured

Written by `make bench` (peers.py, scale.py, speed.py and checks.py in this folder), each section on
its own.
"""


def write(section: str, lines: Sequence[str], path: Path = PATH) -> None:
    """Puts a section in the place of its last one; the others stay as they are."""
    found = dict.fromkeys(SECTIONS, "")
    if path.exists():
        pattern = r"<!-- (\w+) -->\n(.*?)(?=\n<!-- |\Z)"
        found |= dict(re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL))
    found[section] = "\n".join([*lines, "", machine()])
    parts = [f"<!-- {name} -->\n{text.strip()}\n" for name, text in found.items() if text]
    path.write_text("\n".join([_HEAD, *parts]), encoding="utf-8")


def machine() -> str:
    """One line: when and where this was measured."""
    try:
        load = f", load {os.getloadavg()[0]:.1f} at the end"
    except OSError:
        load = ""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"*{now}; {_processor()}, {os.cpu_count()} cores{load}; {_versions()}.*"


def _versions() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _processor() -> str:
    """What the processor calls itself, and whether it multiplies int8 in one instruction."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"model name\s*:\s*(.+)", text)
    known = [flag for flag in ("avx512_vnni", "avx_vnni", "amx_int8") if f" {flag}" in text]
    return " ".join([name[1] if name else platform.machine(), *known])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with columns as wide as what is in them, so that it reads well as text."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(head), line(["-" * width for width in widths]), *map(line, rows)]
