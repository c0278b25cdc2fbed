"""Settings from settings.toml and ASSAY_* variables, with the reason for each default beside it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from core.errors import SettingsError

CONFIG_DIR = Path(platformdirs.user_config_dir("assay", appauthor=False))
DATA_DIR = Path(platformdirs.user_data_dir("assay", appauthor=False))


class Settings(BaseSettings):
    """Every field can be set in settings.toml or as ASSAY_<FIELD>; a variable wins over the file."""

    model_config = SettingsConfigDict(env_prefix="ASSAY_", extra="forbid", frozen=True)

    data_dir: Path = DATA_DIR
    """Where history, results, the log and the API key live."""

    model_folders: list[Path] = []
    """Folders whose sub-folders are models, besides the Hugging Face cache."""

    hf_cache: Path | None = None
    """The Hugging Face cache; None means where huggingface_hub looks (HF_HUB_CACHE, HF_HOME)."""

    quick_model: str | None = None
    """The quick tier's model; None picks the reference model if it is on disk, else a pocket model."""

    full_model: str | None = None
    """The full tier's model; None as above."""

    allow_code: list[str] = []
    """Ids of models whose own Python files may run. Empty: none may."""

    host: str = "127.0.0.1"
    """The API's address. Anything but loopback needs the key."""

    port: int = Field(default=8484, ge=0, le=65535)
    """The API's port; 8000 and 8080 collide with what people already run. 0 lets the system choose."""

    api_key_required: bool = True
    """Switching the key off is refused when `host` is not loopback."""

    allowed_hosts: list[str] = []
    """Host header names accepted besides localhost, 127.0.0.1 and [::1]."""

    fetch_images: bool = True
    """Whether the API fetches http(s) image URLs (public addresses only)."""

    load_on_request: bool = True
    """Whether a request over the API may load a model that is on disk; False answers with the loaded ones alone."""

    max_queue: int = Field(default=256, ge=1)
    """Requests that may wait; one more is refused with QueueFull."""

    max_batch: int = Field(default=16, ge=1, le=256)
    """Rows of one model that are decoded together."""

    prefill_chunk: int = Field(default=512, ge=16)
    """Prompt tokens processed between two decode steps: smaller keeps streams smoother, larger prefills faster."""

    memory_budget_gb: float | None = Field(default=None, gt=0)
    """For all loaded models; None means what Metal recommends on a Mac, else 75 % of the free memory."""

    cache_budget_gb: float = Field(default=1.0, ge=0)
    """For KV kept for later turns; 0 keeps nothing."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=settings_file())


def settings_file() -> Path:
    """Where settings.toml is looked for: ASSAY_CONFIG, else the platform's configuration folder."""
    import os

    named = os.environ.get("ASSAY_CONFIG")
    return Path(named).expanduser() if named else CONFIG_DIR / "settings.toml"


def load_settings(**overrides: Any) -> Settings:
    """Settings with `overrides` on top. Raises SettingsError with the field, the value and what is allowed."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"]) or "settings"
        raise SettingsError(
            f"The setting {field} cannot be {first.get('input')!r}: {first['msg']}. "
            f"It comes from {settings_file()}, from ASSAY_{field.upper()}, or from the command line."
        ) from error
    except ValueError as error:
        raise SettingsError(f"{settings_file()} cannot be read: {error}.") from error


def api_key(settings: Settings) -> str:
    """The API's key, made at first use and kept in data_dir/api_key, readable by its owner alone."""
    import os

    file = settings.data_dir / "api_key"
    try:
        existing = file.read_text().strip()
        if existing:
            return existing
    except FileNotFoundError:
        pass
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    key = "assay-" + secrets.token_urlsafe(24)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(key + "\n")
    return key
