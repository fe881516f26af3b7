"""The environment, as an operator meets it: defaults that work, mistakes that name themselves."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.settings import PREFIX, Settings, load
from rag.errors import BadSettings

DEPLOY = Path(__file__).parents[1] / "deploy"
EXAMPLE = DEPLOY / ".env.example"
NAMES = {PREFIX + name.upper() for name in Settings.model_fields}
WRONG = {
    "WENBAO_LLM": "gpt-5",
    "WENBAO_LLM_TIMEOUT_S": "soon",
    "WENBAO_TOP_K": "0",
    "WENBAO_MAX_CHARS": "1e9",
    "WENBAO_PORT": "65536",
    "WENBAO_LOG_LEVEL": "LOUD",
    "WENBAO_TELEGRAM_ADMINS": "@lin",
    "WENBAO_TELEGRAM_ALLOWED": "12;13",
    "WENBAO_TELEGRAM_USER_DAY": "-1",
    "WENBAO_TELEGRAM_FILE_MB": "50",
}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a .env that someone may keep beside the sources."""
    monkeypatch.chdir(tmp_path)


def lines(pattern: str) -> list[str]:
    """The settings in the example, its comment signs taken away."""
    return re.findall(pattern, EXAMPLE.read_text(encoding="utf-8"), re.M)


def test_the_defaults_need_no_key_no_server_and_no_hub() -> None:
    settings = load()
    assert settings.model == "packaged"
    assert settings.llm == ""
    assert settings.host == "127.0.0.1"
    assert settings.keys() == ()
    assert settings.home.is_absolute()
    assert settings.models == settings.home / "models"


def test_models_can_be_shared_between_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENBAO_HOME", "here")
    monkeypatch.setenv("WENBAO_MODEL_CACHE", "there")
    settings = load()
    assert (settings.home, settings.models) == (Path("here"), Path("there"))


def test_keys_are_split_at_commas_and_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENBAO_API_KEYS", "first-key, second-key,")
    settings = load()
    assert settings.keys() == ("first-key", "second-key")
    assert "first-key" not in repr(settings)


def test_telegram_ids_are_numbers_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENBAO_TELEGRAM_ADMINS", "12, -100200,")
    settings = load()
    assert settings.admins() == {12, -100200}
    assert settings.allowed() == frozenset()


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG)
def test_a_wrong_value_names_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=rf"^{name} is wrong: .+\.$"):
        load()


@pytest.mark.parametrize("name", ["WENBAO_PROT", "WENBAO_", "WENBAO_LLM_KEY"])
def test_a_mistyped_name_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "8080")
    with pytest.raises(BadSettings, match=name):
        load()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENBAO_PORT", "")
    assert load().port == 8080


def test_the_env_file_is_read_and_the_real_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("WENBAO_PORT=9000\nWENBAO_TOP_K=3\n", encoding="utf-8")
    monkeypatch.setenv("WENBAO_PORT", "9001")
    settings = load()
    assert (settings.port, settings.top_k) == (9001, 3)


def test_the_example_holds_every_setting_once_and_commented() -> None:
    assert sorted(lines(r"^# (WENBAO_\w+)=")) == sorted(NAMES)
    assert lines(r"^WENBAO_") == []


def test_the_example_states_the_defaults(tmp_path: Path) -> None:
    defaults = load()
    (tmp_path / ".env").write_text("\n".join(lines(r"^# (WENBAO_\w+=.*)$")), encoding="utf-8")
    assert load() == defaults
    named = lines(r"^# (WENBAO_\w+)=.+$")
    assert {PREFIX + name.upper() for name in Settings().model_fields_set} >= set(named)


def test_the_example_as_it_stands_changes_nothing(tmp_path: Path) -> None:
    defaults = load()
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load() == defaults


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: str(file.name))
def test_what_deploy_sets_exists(file: Path) -> None:
    assert set(re.findall(r"WENBAO_\w+", file.read_text(encoding="utf-8"))) <= NAMES


def test_the_readme_lists_every_setting() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    missing = [n for n in Settings.model_fields if f"| `WENBAO_{n.upper()}` |" not in readme]
    assert missing == []
