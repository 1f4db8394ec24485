"""The settings of a process: read once from the environment and `.env`, checked, then passed on.

Every environment variable that begins with `ORDERLAKE_` must be a setting declared here: a typing mistake in a
name or a value fails at the start and says what is allowed. Nothing else in orderlake reads the environment.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orderlake.declarations import NESTED, Declaration, as_environment, declarations
from orderlake.errors import SettingsError
from orderlake.locations import location_of
from orderlake.logging import LogFormat, LogLevel
from orderlake.setting_types import HIGHEST_PORT, Folder, Folders, JarFolder, Port

PREFIX = "ORDERLAKE_"
ENV_FILE = ".env"


def builtin_root() -> Path:
    """Return the folder that holds the built-in `contracts/`, `sql/` and `infra/` (the checkout)."""
    return Path(__file__).resolve().parent.parent


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Group):
    """Where Kafka is; without `bootstrap_servers`, the native broker of this lake."""

    bootstrap_servers: str | None = Field(
        None,
        description="Your own brokers, host:port[,host:port]; unset: the native broker of this lake.",
        json_schema_extra={"allowed": "host:port[,host:port]"},
    )
    port: Port = Field(19092, description="Port of the native broker.")
    controller_port: Port | None = Field(
        None, validate_default=True, description="Port of its KRaft controller; unset: port + 1."
    )
    heap: str = Field(
        "256m",
        pattern=r"^[1-9][0-9]*[mg]$",
        description="Java heap of the native broker.",
        json_schema_extra={"allowed": "megabytes or gigabytes, such as 256m or 1g"},
    )
    timeout_seconds: float = Field(
        15.0,
        gt=0,
        le=600,
        description="How long a command waits for an answer of the broker before it gives up.",
    )

    @field_validator("controller_port")
    @classmethod
    def _is_a_port_of_its_own(cls, value: int | None, info: ValidationInfo) -> int | None:
        port = info.data.get("port")
        if value is None and port == HIGHEST_PORT:
            raise ValueError(f"there is no port after {PREFIX}KAFKA__PORT={port}, so the controller's must be named")
        if value is not None and value == port:
            raise ValueError(f"the broker listens there ({PREFIX}KAFKA__PORT)")
        return value


class LandSettings(_Group):
    """When the lander commits: at the first of age, rows and bytes."""

    flush: str = Field(
        "fresh",
        description="Age of a commit: fresh (0.5 s), cheap (30 s) or seconds.",
        json_schema_extra={"allowed": "fresh, cheap, or seconds"},
    )
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

    tick_seconds: int = Field(5, ge=5, description="How often Dagster looks for newly landed days.")
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

    webhook_url: SecretStr | None = Field(
        None,
        description="URL that failed runs and checks are posted to, as JSON.",
        json_schema_extra={"allowed": "a URL"},
    )


class UiSettings(_Group):
    """The Dagster webserver that `orderlake ui` starts."""

    port: Port = Field(3000, description="Port of the Dagster webserver (127.0.0.1).")


class Settings(BaseSettings):
    """All settings. The field `kafka.port` is the environment variable `ORDERLAKE_KAFKA__PORT`."""

    # Names that are nobody's are found in _check_names; "forbid" would refuse what other tools keep in .env.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, extra="ignore", frozen=True, env_ignore_empty=True
    )

    profile: Literal["embedded"] = Field("embedded", description="The runtime profile.")
    home: Folder = Field(
        Path(".orderlake"),
        validate_default=True,
        description="The folder of this lake: tables, catalog, servers, Dagster.",
    )
    paths: Annotated[Folders, NoDecode] = Field(
        (),
        description=f"Folders with your own contracts/ and sql/, '{os.pathsep}' between them; they win over ours.",
        json_schema_extra={"allowed": f"folders, '{os.pathsep}' between them"},
    )
    cache_dir: JarFolder = Field(
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
        return (*self.paths, builtin_root())

    @property
    def warehouse(self) -> str:
        """Where tables live."""
        return location_of(self.home / "warehouse")

    @property
    def dagster_home(self) -> Path:
        """The instance folder of Dagster."""
        return self.home / "dagster"

    def environment(self) -> dict[str, str]:
        """Return the environment of a child process that shall have these settings and no others."""
        others = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
        return others | as_environment(self, PREFIX)


def declared() -> dict[str, Declaration]:
    """Return every setting by its environment variable."""
    return declarations(Settings, PREFIX)


def _check_names(environment: Mapping[str, str | None], source: str) -> None:
    known = list(declared())
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
    try:
        if env_file.is_file():
            _check_names(dotenv_values(env_file), str(env_file))
        return Settings(_env_file=env_file if env_file.is_file() else None)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{env_file} cannot be read: {error}.", remedy="save it as UTF-8 text that you may read."
        ) from error
    except ValidationError as error:
        raise _not_allowed(error) from error


def _not_allowed(error: ValidationError) -> SettingsError:
    first = error.errors()[0]
    # Of a list, the location goes on with the position in it.
    location = tuple(str(part) for part in first["loc"])
    setting = next(s for s in declared().values() if s.path == location[: len(s.path)])
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    given, default = first.get("input"), "none" if setting.default is None else setting.default
    return SettingsError(
        f"{setting.variable}{' is unset' if given is None else f'={given}'}: {message[0].lower()}{message[1:]}.",
        allowed=setting.allowed,
        remedy=f"set {setting.variable}."
        if given is None
        else f"correct {setting.variable} or unset it (default: {default}).",
    )
