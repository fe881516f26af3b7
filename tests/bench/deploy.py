"""Proves deploy/ without a container engine: the image's install, then what the units start.

Run by `make prove`. Performs the Dockerfile's steps in an empty virtual environment, then starts
the units' commands over a temporary home, where it can (Linux, root) with everything else
read-only, as compose.yaml has it. Takes minutes and 2 GB, all of it below `.wenbao/prove`.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployed import ROOT, UNITS, copied, health_check, stages, started, values

WORK = ROOT / ".wenbao" / "prove"
PAGES = ROOT / "tests" / "data" / "sample" / "pages"
QUESTION = "天心区今年还要装多少部电梯？"
IMAGE_HOME = "/opt/wenbao"
# All but the home, /tmp and what the kernel gives can't be written any more.
_SEALED = (
    'mount --make-rprivate / && mount --bind "$1" "$1" && mount --bind "$2" /tmp'
    ' && mount -o remount,bind,ro / && shift 2 && exec "$@"'
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the image's things are on this machine."""

    work: Path

    @property
    def installed(self) -> Path:
        """The virtual environment, in the image /opt/wenbao."""
        return self.work / "opt"

    @property
    def home(self) -> Path:
        """In the image /data."""
        return self.work / "data"

    def bin(self, name: str) -> str:
        """A command of the virtual environment."""
        return str(self.installed / "bin" / name)

    def env(self, **more: str) -> dict[str, str]:
        """The image's environment, and nothing of the caller's settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WENBAO_", "PYTHON"))}
        own = {"WENBAO_HOME": str(self.home), "WENBAO_MODEL_CACHE": str(self.installed / "models")}
        return {**kept, **own, **more}


def main() -> int:
    """Performs all steps; 0 when each of them did what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the environment for a look")
    chosen = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    place = Place(WORK)
    place.home.mkdir(parents=True)
    (WORK / "tmp").mkdir()
    try:
        install(place)
        use(place)
    except (subprocess.SubprocessError, OSError, AssertionError) as exc:
        print(f"failed: {exc}", file=sys.stderr)
        return 1
    finally:
        if not chosen.keep:
            shutil.rmtree(WORK, ignore_errors=True)
    return 0


@contextlib.contextmanager
def told(step: str) -> Iterator[None]:
    """Says what is done and how long it took."""
    started_at = time.monotonic()
    yield
    print(f"{time.monotonic() - started_at:7.1f} s  {step}", flush=True)


def install(place: Place) -> None:
    """The Dockerfile's first stage, in an environment of its own."""
    source = place.work / "src"
    source.mkdir()
    for path, target in copied():
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, source / target)
    env = place.env(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_QUIET="2")
    env["PATH"] = f"{place.installed / 'bin'}:{Path(sys.executable).parent}:{env['PATH']}"
    for step in values(stages()[0], "RUN"):
        with told(step if len(step) < 80 else f"{step[:76]} ..."):
            run(["sh", "-c", step.replace(IMAGE_HOME, str(place.installed))], source, env)
    shut = [f for f in (place.installed / "models").rglob("*") if not f.stat().st_mode & 0o004]
    assert not shut, f"who runs the image can't read {shut[0].name}"
    size = sum(f.lstat().st_size for f in place.installed.rglob("*") if not f.is_dir())
    print(f"{size / 1e9:7.2f} GB installed")
    shutil.rmtree(source)  # the second stage has the environment alone


def use(place: Place) -> None:
    """The commands of the run book and of the units."""
    sealed = "with all else read-only" if seal(place) else "unsealed: that takes root on Linux"
    print(f"          what follows runs {sealed}")
    wenbao = place.bin("wenbao")
    with told("wenbao ingest"):
        run([*seal(place), wenbao, "ingest", str(PAGES)], place.home, place.env())
    with told("wenbao ask"):
        asked = [*seal(place), wenbao, "ask", QUESTION, "--json"]
        assert json.loads(run(asked, place.home, place.env()))["citations"], "no citation"
    with told("wenbao backup, wenbao restore"):
        kept = str(place.home / "backup.tar.gz")
        run([*seal(place), wenbao, "backup", kept], place.home, place.env())
        run([*seal(place), wenbao, "restore", kept, "--force"], place.home, place.env())
    with told(f"{UNITS[0]}: healthy, answers over HTTP, stops when told"):
        serve(place)
    with told(f"{UNITS[1]}: names the token that it wants"):
        done = subprocess.run(
            [*seal(place), *started(UNITS[1], Path(wenbao))],
            cwd=place.home, env=place.env(), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert "WENBAO_TELEGRAM_TOKEN" in done.stderr, done.stderr


def serve(place: Place) -> None:
    """Starts the server as its unit does, asks it, stops it."""
    port = _free_port()
    env = place.env(WENBAO_PORT=str(port), WENBAO_HOST="127.0.0.1")
    command = [*seal(place), *started(UNITS[0], Path(place.bin("wenbao")))]
    with subprocess.Popen(command, cwd=place.home, env=env) as process:
        try:
            for _ in range(300):
                if _healthy(place, env) or process.poll() is not None:
                    break
                time.sleep(0.2)
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/ask",
                json.dumps({"question": QUESTION}).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert json.load(reply)["citations"], "no citation over HTTP"
        finally:
            process.terminate()
            process.wait(30)


def _healthy(place: Place, env: Mapping[str, str]) -> bool:
    asked = [place.bin("python"), "-c", health_check()]
    return subprocess.run(asked, env=env, capture_output=True, check=False).returncode == 0


def seal(place: Place) -> list[str]:
    """What keeps a command from writing to anything but the home and /tmp; [] elsewhere."""
    tmp = str(place.work / "tmp")
    wrapped = ["unshare", "--mount", "sh", "-c", _SEALED, "sealed", str(place.home), tmp]
    able = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("unshare")
    if (
        able
        and subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode == 0
    ):
        return wrapped
    return []


def run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    """What a command prints.

    Raises:
        CalledProcessError: if it fails; what it said is shown.
    """
    done = subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
