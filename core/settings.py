"""Settings from settings.toml and ASSAY_* variables, with the reason for each default beside it."""

from __future__ import annotations

import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.errors import SettingsError
from core.regular_files import UnfitFile, open_regular, read_regular, read_text

CONFIG_DIR = Path(platformdirs.user_config_dir("assay", appauthor=False))
DATA_DIR = Path(platformdirs.user_data_dir("assay", appauthor=False))
CACHE_DIR = Path(platformdirs.user_cache_dir("assay", appauthor=False))

MOST = 1_000_000.0
"""Gigabytes or minutes beyond which a number is a slip of the pen, and infinity does not become bytes."""

SETTINGS_BYTES, KEY_BYTES = 1_000_000, 4_096
"""The most that settings.toml and the key's file are read up to."""


def _listed(value: Any) -> Any:
    """A variable's text as a list: JSON, or names with commas between them."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON list ({error})") from error
    return [item.strip() for item in value.split(",") if item.strip()]


Folder = Annotated[Path, AfterValidator(Path.expanduser)]
Names = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Folders = Annotated[list[Folder], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Every field can be set in settings.toml or as ASSAY_<FIELD>; a variable wins over the file.

    In a variable, a list is JSON or has commas between its items.
    """

    model_config = SettingsConfigDict(env_prefix="ASSAY_", env_parse_none_str="none", extra="forbid", frozen=True)

    data_dir: Folder = DATA_DIR
    """Where history, results, the log and the API key live."""

    cache_dir: Folder = CACHE_DIR
    """Where lies what can be made again: which BLAS has stood its test, whose rows may share a batch, what the folders
    of models say, and the tables of transformers."""

    model_folders: Folders = []
    """Folders whose sub-folders are models, besides the Hugging Face cache."""

    hf_cache: Folder | None = None
    """The Hugging Face cache; None means where huggingface_hub looks (HF_HUB_CACHE, HF_HOME)."""

    quick_model: str | None = None
    """The quick tier's model; None picks the reference model if it is on disk, else a pocket model."""

    full_model: str | None = None
    """The full tier's model; None as above."""

    allow_code: Names = []
    """Ids of models whose own Python files may run. Empty: none may."""

    golden_python: Folders = []
    """Folders of golden suites whose own Python functions may run, as they are: they can do what the user can. Empty:
    none may, but for those that `assay golden run --allow-python` is told of."""

    host: str = "127.0.0.1"
    """The API's address. Anything but loopback needs the key."""

    port: int = Field(default=8484, ge=0, le=65535)
    """The API's port; 8000 and 8080 collide with what people already run. 0 lets the system choose."""

    api_key_required: bool = True
    """Switching the key off is refused when `host` is not loopback."""

    allowed_hosts: Names = []
    """Host header names accepted besides localhost, 127.0.0.1 and [::1]."""

    fetch_images: bool = True
    """Whether the API fetches http(s) image URLs (public addresses only)."""

    load_on_request: bool = True
    """Whether a request over the API may load a model that is on disk; False answers with the loaded ones alone."""

    wire_mb: float = Field(default=32.0, ge=0, le=MOST)
    """For what clients of the API asked and were answered, kept in memory so that the workbench's Wire pane can show
    it; the oldest go first, and 0 keeps nothing but the numbers."""

    responses_mb: float = Field(default=64.0, ge=0, le=MOST)
    """For responses of the API that are kept for clients who go on from them by previous_response_id; the oldest go
    first, and 0 keeps none. An item of a conversation counts once, however many responses hold it."""

    responses_on_disk: bool = False
    """Whether they outlive the API, in data_dir/responses.sqlite, which is its owner's alone; what people asked and got
    can be read there. False keeps them in memory until the API is switched off."""

    max_queue: int = Field(default=256, ge=1)
    """Requests that may wait; one more is refused with QueueFull."""

    max_batch: int = Field(default=16, ge=1, le=256)
    """Rows of one model that are decoded together."""

    prefill_chunk: int = Field(default=512, ge=16)
    """Prompt tokens processed between two decode steps: smaller keeps streams smoother, larger prefills faster. Where
    others would stand for more than a quarter of a second it is fewer, down to an eighth."""

    prefill_ms: float = Field(default=50.0, ge=0, le=60_000)
    """Milliseconds that may go by between two decode steps where that is time for more than `prefill_chunk` tokens, or
    for several images; 0 processes one chunk or image at a time. No effect under mlx.launch with several ranks."""

    memory_budget_gb: float | None = Field(default=None, gt=0, le=MOST)
    """For all loaded models; None means what Metal recommends on a Mac, else 75 % of the memory that is free on the
    device that computes."""

    cpu_openblas: bool = True
    """On Linux, where MLX computes on the processor: let an OpenBLAS of the environment or the system multiply for it,
    thirty times faster than the reference BLAS in MLX's wheel. `assay --version --verbose` names the one in use."""

    cpu_float32: bool = True
    """On Linux, where MLX computes on the processor: hold half-precision and quantised weights in float32, which alone
    goes through a BLAS, where that takes no more than half of what is free of the memory for models; False loads them
    as they are stored."""

    idle_unload_minutes: float | None = Field(default=None, gt=0, le=MOST)
    """A model unused for this long is unloaded, unless it is pinned; None keeps models until memory is short."""

    cache_budget_gb: float | None = Field(default=None, ge=0, le=MOST)
    """For KV kept for later turns, and an eighth more for the images in them; None means an eighth of the memory for
    models, to which it gives way; 0 keeps nothing."""

    cache_on_disk_gb: float = Field(default=0.0, ge=0, le=MOST)
    """For KV that outlives the program, in data_dir/kv; 0 writes and reads nothing. Prompts can be told from KV, so the
    folder is its owner's alone; to forget them, delete it. What cache_budget_gb keeps in memory is written there when
    the engine has been idle for half a minute, on unloading and at the end, and read when nothing in memory serves a
    prompt as well. No effect under mlx.launch with several ranks: what they found on their disks would part them."""

    keep_figures: bool = True
    """Whether uses of models leave times, rates and memory in data_dir/figures.sqlite3, for `assay models show`, the
    workbench and expectations of other models. They hold no text, and stay on this machine."""

    @property
    def figures_file(self) -> Path:
        """Where uses of models leave their figures."""
        return self.data_dir / "figures.sqlite3"

    @property
    def own_models(self) -> Path:
        """Where `assay models import` puts models, if no folder of models is named: it is looked into in any case."""
        return self.data_dir / "models"

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
    named = os.environ.get("ASSAY_CONFIG")
    return Path(named).expanduser() if named else CONFIG_DIR / "settings.toml"


def load_settings(**overrides: Any) -> Settings:
    """Settings with `overrides` on top.

    Raises SettingsError with the place (file and line, variable, command line), the value and what is allowed; for a
    name that is no setting, with the nearest one that is.
    """
    text = _read(settings_file())
    _refuse_unknown(text, overrides)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(
            f"The setting {field} cannot be {first.get('input')!r}: {first['msg']}. "
            f"It comes from {_place(field, text, overrides)}."
        ) from error


def save_setting(name: str, value: Any) -> None:
    """Write one setting to settings.toml, keeping everything else in it, comments too; None takes it out.

    The file is replaced in one step. Raises SettingsError when the name or the value is not allowed, and when the file
    is broken or cannot be written: it is then as it was.
    """
    import tomli_w

    from core.atomic import write_atomically

    file = settings_file()
    text = _read(file)
    if value is not None:
        load_settings(**{name: value})
    else:
        _refuse_unknown("", {name: None})
    plain = _plain(value)
    lines = text.splitlines()
    start, end = _span(lines, name)
    written = [] if plain is None else tomli_w.dumps({name: plain}).splitlines()
    lines[start:end] = written
    wanted = {key: item for key, item in tomllib.loads(text).items() if key != name}
    if plain is not None:
        wanted[name] = plain
    changed = "".join(f"{line}\n" for line in lines)
    if tomllib.loads(changed) != wanted:
        changed = tomli_w.dumps(wanted)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, changed.encode())
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror or error}.") from error


def _plain(value: Any) -> Any:
    """A value as TOML spells it: paths as text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _read(file: Path) -> str:
    """The file's text, "" if there is none. Raises SettingsError when it is no TOML."""
    try:
        text = read_regular(file, SETTINGS_BYTES, "a file of settings").decode().replace("\r\n", "\n")
        tomllib.loads(text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{file} cannot be read: {error}.") from error
    return text


def _refuse_unknown(text: str, overrides: dict[str, Any]) -> None:
    """Raise for names that are no settings. A foreign ASSAY_ variable passes unless it looks like a slip of the pen."""
    known = list(Settings.model_fields)
    for name in overrides:
        if name not in known:
            raise SettingsError(f"There is no setting {name!r}.{_did_you_mean(name, known)}")
    for name in tomllib.loads(text):
        if name not in known:
            place = f"{settings_file()}, line {_line(text, name)}"
            raise SettingsError(f"{place}: there is no setting {name!r}.{_did_you_mean(name, known)}")
    for variable in os.environ:
        name = variable.removeprefix("ASSAY_").lower()
        if variable.startswith("ASSAY_") and name not in known and (near := _nearest(name, known, 88)):
            raise SettingsError(f"There is no setting for the variable {variable}. Did you mean ASSAY_{near.upper()}?")


def _nearest(name: str, known: Iterable[str], at_least: float) -> str | None:
    from rapidfuzz import fuzz, process

    found = process.extractOne(name, list(known), scorer=fuzz.ratio, score_cutoff=at_least)
    return str(found[0]) if found else None


def _did_you_mean(name: str, known: list[str]) -> str:
    near = _nearest(name.lower().replace("-", "_"), known, 60)
    return f" Did you mean {near}?" if near else f" There are {', '.join(known)}."


def _place(field: str, text: str, overrides: dict[str, Any]) -> str:
    """Which of the three sources a field's value was taken from."""
    if field in overrides:
        return "the command line"
    variable = f"ASSAY_{field.upper()}"
    if variable in {name.upper() for name in os.environ}:
        return f"the variable {variable}"
    return f"{settings_file()}, line {_line(text, field)}"


def _line(text: str, name: str) -> int:
    """The line, from 1, on which a top-level name is set."""
    return _span(text.splitlines(), name)[0] + 1


def _span(lines: list[str], name: str) -> tuple[int, int]:
    """The lines [start, end) that set a top-level name; an empty place to put it, before any table, if none do."""
    pattern = re.compile(rf"""^\s*(?:\[\s*)?["']?{re.escape(name)}["']?\s*[=.\]]""")
    tables = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    start = next((number for number, line in enumerate(lines) if pattern.match(line)), None)
    if start is None:
        return tables, tables
    for end in range(start + 1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        return start, end
    return start, start + 1


def api_key(settings: Settings) -> str:
    """The API's key, made at first use and kept in data_dir/api_key, readable by its owner alone.

    Of several programs that start at once, one makes the key and all get it. Raises SettingsError when the file cannot
    be read or made.
    """
    file = settings.data_dir / "api_key"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if key := _existing_key(file):
            return key
        draft = file.with_name(f".api_key.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as handle:
                handle.write("assay-" + secrets.token_urlsafe(24) + "\n")
            try:
                os.link(draft, file)  # fails where another program was first; a key is never seen half written
            except FileExistsError:
                if not _existing_key(file):
                    os.replace(draft, file)
        finally:
            draft.unlink(missing_ok=True)
        return _existing_key(file)
    except OSError as error:
        raise SettingsError(f"The API key in {file} cannot be read or made: {error.strerror or error}.") from error


def _existing_key(file: Path) -> str:
    """The key in the file, "" if there is none. Takes the file away from everyone but its owner."""
    try:
        with open_regular(file) as handle:
            if os.fstat(handle.fileno()).st_mode & 0o077:
                os.fchmod(handle.fileno(), 0o600)
        key = read_text(file, KEY_BYTES, "a key").strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        key = "\0"
    if not all("!" <= sign <= "~" for sign in key):  # a header holds nothing else
        raise UnfitFile("it holds no key, which is one line of ASCII; delete it, and a new one is made", file)
    return key
