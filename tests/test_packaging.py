"""What gets installed: whole, in one direction, and light to start."""

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "rag", "embeddings")
# Importing one of these takes a tenth of a second or more: none may be needed for `--help`.
HEAVY = (
    "chromadb",
    "docx",
    "fastapi",
    "langchain",
    "langchain_core",
    "langchain_openai",
    "lxml",
    "onnx",
    "onnxruntime",
    "openai",
    "pypdfium2",
    "pypinyin",
    "sentence_transformers",
    "telegram",
    "tokenizers",
    "torch",
    "trafilatura",
    "transformers",
    "uvicorn",
)
_BUILD = "import sys; from setuptools import build_meta as b; print(b.build_wheel(sys.argv[1]))"


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


def project() -> dict[str, object]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, object] = tomllib.loads(text)["project"]
    return table


def name_of(requirement: str) -> str:
    """The distribution's name alone, in the form that indexes use."""
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def pins() -> dict[str, str]:
    """Name -> version of every line of the lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def copied(work: Path) -> None:
    """A copy of all that a build needs, to work on."""
    for package in PACKAGES:
        copytree(ROOT / package, work / package, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            (work / name).write_bytes((ROOT / name).read_bytes())


def wheel_of(work: Path) -> zipfile.ZipFile:
    """The wheel as an index would give it, built from a copy so that nothing is left here."""
    copied(work)
    built = run(sys.executable, "-c", _BUILD, str(work), cwd=work)
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(work / built.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with wheel_of(tmp_path_factory.mktemp("wheel")) as built:
        yield built


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"bot/web/index.html", "rag/words/glossary.tsv", "embeddings/check_texts.txt"} <= files
    assert files <= set(wheel.namelist())


def test_the_wheel_holds_nothing_but_the_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return run(str(command), "--no-cache", "--no-logo", cwd=folder)


def test_the_import_contracts_hold() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        pytest.param("embeddings/embedder.py", "import rag.types", "rag", id="a way back"),
        pytest.param("rag/types.py", "from bot import render", "bot", id="thinking of a door"),
        pytest.param("rag/terms.py", "import chromadb", "chromadb", id="a second store"),
        pytest.param(
            "bot/render.py", "def f(): import telegram.ext", "telegram", id="inside a function"
        ),
        pytest.param(
            "bot/settings.py", "from langchain.chat_models import x", "langchain", id="a submodule"
        ),
    ],
)
def test_the_import_contracts_bite(tmp_path: Path, file: str, line: str, said: str) -> None:
    copied(tmp_path)
    with (tmp_path / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    linted = lint_imports(tmp_path)
    assert linted.returncode == 1, linted.stdout
    module = file.removesuffix(".py").replace("/", ".")
    shown = " ".join(linted.stdout.split())
    assert re.search(rf"{module} -> {said}", shown), linted.stdout


def test_every_requirement_is_locked_and_no_lock_names_a_machine() -> None:
    table = project()
    extras = table["optional-dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(table["dependencies"], list)
    wanted = {name_of(item) for item in [*table["dependencies"], *extras["dev"]]}
    locked = {name_of(name) for name in pins()}
    assert wanted <= locked
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins().values())


def test_the_command_line_starts_without_anything_heavy() -> None:
    asked = f"import sys, bot.__main__; print([m for m in {HEAVY!r} if m in sys.modules])"
    started = run(sys.executable, "-c", asked)
    assert started.stdout.strip() == "[]", started.stdout + started.stderr
