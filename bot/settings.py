"""The environment, read once and frozen: every setting is `WENBAO_` and its name.

Does not cover what belongs to one call (top-k, language), which the doors take as arguments.
"""

import os
import re
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rag.errors import BadSettings

PREFIX = "WENBAO_"


class Settings(BaseSettings):
    """What the operator can set; the defaults need no key, no server and no model hub."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("wenbao"),
        description="Folder of all state: the articles, the index, the built model.",
    )
    model: str = Field(
        "packaged",
        description="Embedding model: `packaged`, a hub name or a folder (sentence-transformers).",
    )
    model_cache: Path | None = Field(
        None, description="Folder of built models, to share between homes. Default: `HOME/models`."
    )
    glossary: Path | None = Field(
        None, description="Your own glossary: lines of English, a tab, Chinese words (UTF-8)."
    )
    reranker: str = Field(
        "",
        description="Folder or hub name of a CrossEncoder (sentence-transformers); empty: none.",
    )
    translator: str = Field(
        "",
        description="Folder or hub name of a translation model (transformers) for foreign quotes.",
    )
    llm: str = Field(
        "", description="`openai:MODEL` writes answers with that model; empty: extractive answers."
    )
    llm_base_url: str = Field("", description="The OpenAI-compatible server, e.g. Ollama or vLLM.")
    llm_api_key: SecretStr = Field(SecretStr(""), description="Its key, if it wants one.")
    llm_timeout_s: float = Field(30.0, gt=0, le=600, description="Longest wait for a whole reply.")
    top_k: int = Field(8, ge=1, le=50, description="Passages that an answer may draw on.")
    max_chars: int = Field(2_000, ge=50, le=20_000, description="Longest question, in characters.")
    host: str = Field("127.0.0.1", description="Address that `wenbao serve` listens on.")
    port: int = Field(8080, ge=1, le=65_535, description="Its port.")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated keys. Writing always needs one; once set, reading does too.",
    )
    address_rate: int = Field(
        120, ge=0, le=100_000, description="Requests a minute from one address; 0: no limit."
    )
    key_rate: int = Field(
        1_200, ge=0, le=100_000, description="Requests a minute with one key; 0: no limit."
    )
    max_questions: int = Field(
        100, ge=1, le=10_000, description="Questions in flight in one process; beyond: 503."
    )
    upload_mb: int = Field(64, ge=1, le=1_024, description="Largest upload, in megabytes.")
    cors_origins: str = Field(
        "", description="Comma-separated origins whose pages may ask here, or `*`."
    )
    trusted_proxies: str = Field(
        "127.0.0.1", description="Comma-separated proxies whose `X-Forwarded-For` is believed."
    )
    telegram_token: SecretStr = Field(SecretStr(""), description="Bot token from @BotFather.")
    telegram_base_url: str = Field(
        "https://api.telegram.org/bot", description="Bot API server, if you run your own."
    )
    telegram_admins: str = Field(
        "", description="Telegram user ids of admins, comma-separated; they may index and ban."
    )
    telegram_allowed: str = Field(
        "",
        description="Telegram ids of users and groups that may ask, comma-separated; empty: all.",
    )
    telegram_webhook_url: str = Field(
        "", description="Public https address for a webhook; empty: the bot polls."
    )
    telegram_webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret that Telegram sends with each update, 16 or more of A-Z a-z 0-9 _ -.",
    )
    telegram_user_minute: int = Field(
        10, ge=0, le=1_000, description="Questions of one person a minute; 0: no limit."
    )
    telegram_user_day: int = Field(
        300, ge=0, le=100_000, description="Questions of one person a day; 0: no limit."
    )
    telegram_chat_minute: int = Field(
        20, ge=0, le=1_000, description="Questions in one group a minute; 0: no limit."
    )
    telegram_chat_day: int = Field(
        1_000, ge=0, le=100_000, description="Questions in one group a day; 0: no limit."
    )
    telegram_file_mb: int = Field(
        20, ge=1, le=20, description="Largest file that an admin may send for indexing, in MB."
    )
    telegram_rich: bool = Field(
        False, description="Answers as rich messages, which older Telegram apps show blank."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` or `json` lines.")
    log_level: str = Field("WARNING", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Log.")

    @field_validator("llm")
    @classmethod
    def _known_provider(cls, value: str) -> str:
        if value and not value.startswith("openai:"):
            raise ValueError("write openai:MODEL, for example openai:qwen2.5:7b")
        return value

    @field_validator("telegram_admins", "telegram_allowed")
    @classmethod
    def _ids(cls, value: str) -> str:
        if not all(re.fullmatch(r"-?\d{1,16}", part) for part in _listed(value)):
            raise ValueError("write numbers, for example 12345,-100200300")
        return value

    @property
    def models(self) -> Path:
        """Where built models are kept."""
        return self.model_cache or self.home / "models"

    def keys(self) -> tuple[str, ...]:
        """The API keys that open the writing routes."""
        return _listed(self.api_keys.get_secret_value())

    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may ask here."""
        return _listed(self.cors_origins)

    def admins(self) -> frozenset[int]:
        """The Telegram users who may index and ban."""
        return frozenset(map(int, _listed(self.telegram_admins)))

    def allowed(self) -> frozenset[int]:
        """The Telegram users and groups that may ask; none named: all."""
        return frozenset(map(int, _listed(self.telegram_allowed)))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load() -> Settings:
    """The settings of this process.

    Raises:
        BadSettings: naming the variable that is wrong, or one that doesn't exist.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            raise BadSettings(f"{name} is no setting of Wenbao; the README lists them all.")
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "The environment"
        raise BadSettings(f"{name} is wrong: {first['msg']}.") from exc
