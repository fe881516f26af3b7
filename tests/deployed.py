"""What deploy/ says that a machine does: the Dockerfile's steps, the units' commands."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNITS = ("wenbao.service", "wenbao-telegram.service")


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of the Dockerfile, on one line."""

    word: str
    value: str


def stages() -> list[list[Step]]:
    """The instructions of each stage of the Dockerfile."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    made: list[list[Step]] = []
    for line in filter(None, map(str.strip, lines)):
        word, _, value = line.partition(" ")
        if word == "FROM":
            made.append([])
        made[-1].append(Step(word, value.strip()))
    return made


def values(steps: list[Step], word: str) -> list[str]:
    """The values of all instructions of a kind."""
    return [step.value for step in steps if step.word == word]


def copied() -> list[tuple[Path, str]]:
    """What the image copies out of the repository, and where below the work folder it lands."""
    found = []
    for value in values(stages()[0], "COPY"):
        *sources, target = value.split()
        for source in sources:
            inside = f"{target}{source}" if target.endswith("/") else target
            found.append((ROOT / source, inside.removeprefix("./")))
    return found


def python_code(command: str) -> str:
    """The code behind `python -c`."""
    words = shlex.split(command)
    return words[words.index("-c") + 1]


def health_check() -> str:
    """The code that asks whether the server is alive."""
    (value,) = values(stages()[1], "HEALTHCHECK")
    words: list[str] = json.loads(value[value.index("[") :])
    return words[words.index("-c") + 1]


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all of its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def started(name: str, command: Path) -> list[str]:
    """What a unit starts, with another `wenbao`."""
    (line,) = unit(name)["ExecStart"]
    return [str(command), *shlex.split(line)[1:]]
