"""The settings of a process: read once from the environment and `.env`, checked, then passed on.

Every environment variable that begins with `ORDERLAKE_` must be a setting declared here: a typing mistake in a
name or a value fails at the start and says what is allowed. Nothing else in orderlake reads the environment.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orderlake.errors import SettingsError
from orderlake.logging import LogFormat, LogLevel

PREFIX = "ORDERLAKE_"
ENV_FILE = ".env"

Port = Annotated[int, Field(ge=1, le=65535)]


def builtin_root() -> Path:
    """Return the folder that holds the built-in `contracts/`, `sql/` and `infra/` (the checkout)."""
    return Path(__file__).resolve().parent.parent


def _split_paths(value: object) -> object:
    if isinstance(value, str):
        return [part for part in value.split(os.pathsep) if part.strip()]
    return value


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Group):
    """Where Kafka is; without `bootstrap_servers`, the native broker of this lake."""

    bootstrap_servers: str | None = Field(
        None, description="Your own brokers, host:port[,host:port]; unset: the native broker of this lake."
    )
    port: Port = Field(19092, description="Port of the native broker.")
    controller_port: Port | None = Field(None, description="Port of its KRaft controller; unset: port + 1.")
    heap: str = Field("256m", pattern=r"^[1-9][0-9]*[mg]$", description="Java heap of the native broker.")
    timeout_seconds: float = Field(
        15.0,
        gt=0,
        le=600,
        description="How long a command waits for an answer of the broker before it gives up.",
    )


class LandSettings(_Group):
    """When the lander commits: at the first of age, rows and bytes."""

    flush: str = Field("fresh", description="Age of a commit: fresh (0.5 s), cheap (30 s) or seconds.")
    max_rows: int = Field(1_000_000, ge=1, description="Rows of a topic after which it is committed at once.")
    max_bytes: int = Field(
        134_217_728, ge=1_024, description="Message bytes of a topic after which it is committed at once."
    )


class LogSettings(_Group):
    """How processes log."""

    level: LogLevel = Field("INFO", description="Lowest level that is logged.")
    format: LogFormat = Field("console", description="console for people, json for log collectors.")


class AutomationSettings(_Group):
    """How often Dagster's sensors look, and how often they may act."""

    tick_seconds: int = Field(15, ge=5, description="How often Dagster looks for newly landed days.")
    today_seconds: int = Field(60, ge=0, description="Today's growth of a raw table is reported at most so often.")
    late_seconds: int = Field(600, ge=0, description="Late events of one day are reported at most so often.")
    catch_up_seconds: int = Field(
        3_600, ge=60, description="How often every day of every table is compared with what it was built from."
    )
    heartbeat_seconds: int = Field(
        900, ge=60, description="How often freshness is recorded while it neither passes nor fails anew."
    )
    compare_days: int = Field(3, ge=1, le=100, description="Newest days that the nightly comparison builds again.")


class AlertSettings(_Group):
    """Whom to tell about failed runs and checks, besides the log."""

    webhook_url: SecretStr | None = Field(None, description="URL that failed runs and checks are posted to, as JSON.")


class UiSettings(_Group):
    """The Dagster webserver that `orderlake ui` starts."""

    port: Port = Field(3000, description="Port of the Dagster webserver (127.0.0.1).")


class Settings(BaseSettings):
    """All settings. The field `kafka.port` is the environment variable `ORDERLAKE_KAFKA__PORT`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    profile: Literal["embedded"] = Field("embedded", description="The runtime profile.")
    home: Annotated[Path, BeforeValidator(lambda v: Path(v).expanduser().absolute())] = Field(
        Path(".orderlake"),
        validate_default=True,
        description="The folder of this lake: tables, catalog, servers, Dagster.",
    )
    paths: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths)] = Field(
        (),
        description=f"Folders with your own contracts/ and sql/, '{os.pathsep}' between them; they win over ours.",
    )
    cache_dir: Path = Field(
        Path(platformdirs.user_cache_dir("orderlake", appauthor=False)),
        description="Where downloaded server artifacts are kept, shared by all lakes of a user.",
    )
    partitions_start: dt.date = Field(
        dt.date(2010, 1, 1), description="First UTC day of event time; earlier events are quarantined."
    )
    require_servers: bool = Field(
        default=False, description="Tests only: a server that cannot be had fails a test instead of skipping it."
    )
    kafka: KafkaSettings = KafkaSettings()
    land: LandSettings = LandSettings()
    automation: AutomationSettings = AutomationSettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()
    ui: UiSettings = UiSettings()

    @property
    def bootstrap_servers(self) -> str:
        """The brokers to talk to."""
        return self.kafka.bootstrap_servers or f"127.0.0.1:{self.kafka.port}"

    @property
    def controller_port(self) -> int:
        """The KRaft controller's port of the native broker."""
        return self.kafka.controller_port or self.kafka.port + 1

    @property
    def search_path(self) -> tuple[Path, ...]:
        """Folders that hold `contracts/` and `sql/`: the user's first, then the built-in one."""
        return (*(path.expanduser().absolute() for path in self.paths), builtin_root())

    @property
    def catalog_uri(self) -> str:
        """SQLAlchemy address of the Iceberg catalog."""
        return f"sqlite:///{self.home / 'catalog.db'}"

    @property
    def warehouse(self) -> str:
        """Where tables live."""
        return (self.home / "warehouse").as_uri()

    @property
    def dagster_home(self) -> Path:
        """The instance folder of Dagster."""
        return self.home / "dagster"


def setting_names(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, Any, str]]:
    """Yield (environment variable, default, description) of every setting."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from setting_names(annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field.default, field.description or ""


def _check_names(environment: Mapping[str, str], source: str) -> None:
    known = [name for name, _, _ in setting_names()]
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            raise SettingsError(
                f"{name} in {source} is not a setting of orderlake.",
                allowed=known,
                remedy=f"did you mean {close[0]}?" if close else f"unset {name}.",
            )


def load_settings(env_file: Path | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        env_file: a file of `NAME=value` lines; the environment wins over it. Default: `.env` in the working folder.

    Raises:
        SettingsError: an unknown setting, or a value that is not allowed.
    """
    from dotenv import dotenv_values

    env_file = env_file or Path(ENV_FILE)
    _check_names(os.environ, "the environment")
    if env_file.is_file():
        _check_names({name: value or "" for name, value in dotenv_values(env_file).items()}, str(env_file))
    try:
        return Settings(_env_file=env_file if env_file.is_file() else None)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part).upper() for part in first["loc"])
        described = {key: (default, text) for key, default, text in setting_names()}
        default, text = described.get(name, ("", ""))
        message = str(first["msg"])
        raise SettingsError(
            f"{name}={first.get('input')!s}: {message[0].lower()}{message[1:]}.",
            allowed=text,
            remedy=f"correct {name} or unset it (default: {default}).",
        ) from error
