"""What deploy/ promises: files that exist, commands that start, units and files without a lint."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from bot.__main__ import cli
from deployed import DEPLOY, ROOT, UNITS, copied, health_check, python_code, stages, started, unit
from deployed import values as of

BIN = Path(sys.executable).parent
WENBAO = BIN / "wenbao"
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
COMMANDS = {command.name or command.callback.__name__ for command in cli.registered_commands
            if command.callback}  # fmt: skip


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


# --- the image


def test_all_that_the_image_copies_is_there_and_let_through() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert [target for _, target in copied()]
    for source, _ in copied():
        assert source.exists()
        assert any(fnmatch(source.relative_to(ROOT).as_posix(), pattern) for pattern in kept)


def test_what_the_image_copies_is_enough_to_install(tmp_path: Path) -> None:
    for source, target in copied():
        if source.is_dir():
            shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, tmp_path / target)
    code = "import sys; from setuptools import build_meta as b; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("wenbao-*.whl"))


def test_the_image_installs_by_the_lock_and_builds_the_model_where_it_is_looked_for(
    model_cache: Path,
) -> None:
    install, model = of(stages()[0], "RUN")[1:]
    assert install == "pip install -c requirements.lock ."
    code = python_code(model)
    cache = "/opt/wenbao/models"
    assert f"WENBAO_MODEL_CACHE={cache}" in of(stages()[1], "ENV")[0]
    done = run(sys.executable, "-c", code.replace(cache, str(model_cache)), PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


def test_the_image_runs_wenbao_as_nobody_special() -> None:
    (user,) = of(stages()[1], "USER")
    assert user == "10001:10001"
    assert of(stages()[1], "ENTRYPOINT") == ['["wenbao"]']
    assert of(stages()[1], "CMD") == ['["serve"]']
    assert "serve" in COMMANDS


def test_linters_find_nothing() -> None:
    for command in (
        (BIN / "hadolint", DEPLOY / "Dockerfile"),
        (BIN / "yamllint", "--strict", "-c", ROOT / ".yamllint", DEPLOY / "compose.yaml"),
    ):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr


# --- compose


def test_every_service_starts_a_command_and_uses_what_is_declared() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"api"}
    for service in services.values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service["volumes"]:
            name = volume.partition(":")[0]
            assert name in compose["volumes"] or (DEPLOY / name).is_file()
        if "command" in service:
            assert service["command"][0] in COMMANDS
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
    assert services["api"]["ports"] == ["127.0.0.1:8080:8080"]
    assert services["api"]["environment"]["WENBAO_PORT"] == 8080
    assert "reverse_proxy api:8080" in (DEPLOY / "Caddyfile").read_text(encoding="utf-8")


# --- the units


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_command_over_its_own_home(name: str) -> None:
    assert started(name, WENBAO)[1] in COMMANDS
    assert "WENBAO_HOME=/var/lib/wenbao" in unit(name)["Environment"][0].split()
    assert unit(name)["StateDirectory"] == ["wenbao"]


def test_the_units_differ_in_what_they_start_alone() -> None:
    one, other = map(unit, UNITS)
    assert {key for key in one if one[key] != other[key]} == {"Description", "ExecStart"}
    assert one.keys() == other.keys()


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze comes with Debian's systemd")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit_and_calls_it_safe(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    text = (DEPLOY / name).read_text(encoding="utf-8")
    path.write_text(text.replace("/opt/wenbao/bin/wenbao", sys.executable), encoding="utf-8")
    verified = run("systemd-analyze", "verify", "--man=no", path)
    assert verified.returncode == 0, verified.stderr
    assert name not in verified.stderr
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=20", path)
    assert rated.returncode == 0, rated.stdout[-300:]


# --- started for real


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(name: str, home: Path, models: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A unit's command over a temporary home, from that folder as the unit starts it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WENBAO_")}
    home.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", *started(name, WENBAO)[1:]],
        cwd=home,
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "WENBAO_HOME": str(home),
            "WENBAO_MODEL_CACHE": str(models),
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def answers(url: str, process: subprocess.Popen[str]) -> bool:
    """Whether a server comes to answer; False when it ends first."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            time.sleep(0.2)
    return False


@pytest.mark.slow
def test_the_server_unit_comes_up_is_healthy_and_stops_when_told(
    tmp_path: Path, model_cache: Path
) -> None:
    port = str(free_port())
    with running(UNITS[0], tmp_path / "home", model_cache, WENBAO_PORT=port) as process:
        assert answers(f"http://127.0.0.1:{port}/healthz", process)
        healthy = run(sys.executable, "-c", health_check(), WENBAO_PORT=port)
        assert healthy.returncode == 0, healthy.stderr
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=float(unit(UNITS[0])["TimeoutStopSec"][0]))
        assert process.returncode in (0, -signal.SIGTERM), said
    assert run(sys.executable, "-c", health_check(), WENBAO_PORT=port).returncode != 0


@pytest.mark.slow
def test_the_bot_unit_without_a_token_says_so_and_is_not_started_again(
    tmp_path: Path, model_cache: Path
) -> None:
    with running(UNITS[1], tmp_path / "home", model_cache) as process:
        said, _ = process.communicate(timeout=60)
        assert "WENBAO_TELEGRAM_TOKEN" in said
        assert str(process.returncode) in unit(UNITS[1])["RestartPreventExitStatus"][0].split()


@pytest.mark.slow
def test_the_commands_of_the_run_book_back_up_and_restore(
    sample_home: Path, model_cache: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    env = {"PYTHONPATH": str(ROOT), "WENBAO_MODEL_CACHE": str(model_cache)}
    wenbao = (sys.executable, "-m", "bot")
    packed = subprocess.run(
        [*wenbao, "backup", "-"],
        env={**os.environ, **env, "WENBAO_HOME": str(sample_home)},
        capture_output=True,
        check=True,
    ).stdout
    for force in ((), ("--force",)):
        done = subprocess.run(
            [*wenbao, "restore", "-", *force],
            env={**os.environ, **env, "WENBAO_HOME": str(new)},
            input=packed,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    asked = (*wenbao, "ask", "天心区今年还要装多少部电梯？", "--json")
    before, after = (
        run(*asked, **env, WENBAO_HOME=str(folder)).stdout.partition('"timings_ms"')[0]
        for folder in (sample_home, new)
    )
    assert before == after != ""
    refused = run(*wenbao, "restore", "-", **env, WENBAO_HOME=str(new))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
