"""Settings fail at the start, name the mistake and say what is allowed; nothing is read twice or guessed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orderlake.errors import SettingsError
from orderlake.settings import builtin_root, declared, load_settings


def test_defaults_describe_an_embedded_lake_in_the_working_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.profile == "embedded"
    assert settings.home == tmp_path / ".orderlake"
    assert settings.bootstrap_servers == "127.0.0.1:19092"
    assert settings.controller_port == 19093
    assert settings.search_path == (builtin_root(),)


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ORDERLAKE_KAFKA__PORT=20000\nORDERLAKE_UI__PORT=4000\n")
    monkeypatch.setenv("ORDERLAKE_KAFKA__PORT", "21000")
    settings = load_settings()
    assert settings.kafka.port == 21000
    assert settings.ui.port == 4000


def test_own_folders_come_before_the_built_in_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORDERLAKE_PATHS", f"{tmp_path}/a:{tmp_path}/b")
    assert load_settings().search_path == (tmp_path / "a", tmp_path / "b", builtin_root())


@pytest.mark.parametrize(
    ("name", "value", "says", "allowed"),
    [
        ("ORDERLAKE_KAFKA__PORT", "abc", "valid integer", "1 to 65535"),
        ("ORDERLAKE_KAFKA__PORT", "0", "greater than or equal to 1", "1 to 65535"),
        ("ORDERLAKE_KAFKA__CONTROLLER_PORT", "70000", "less than or equal to 65535", "1 to 65535"),
        ("ORDERLAKE_KAFKA__CONTROLLER_PORT", "19092", "the broker listens there", "1 to 65535"),
        ("ORDERLAKE_PROFILE", "stack", "'embedded'", "embedded"),
        ("ORDERLAKE_LOG__LEVEL", "LOUD", "input should be", "DEBUG, INFO, WARNING, ERROR"),
        ("ORDERLAKE_PARTITIONS_START", "soon", "valid date", "a date such as 2026-01-31"),
        ("ORDERLAKE_KAFKA__HEAP", "lots", "should match pattern", "megabytes or gigabytes, such as 256m or 1g"),
        ("ORDERLAKE_KAFKA__TIMEOUT_SECONDS", "0", "greater than 0", "more than 0, at most 600"),
        ("ORDERLAKE_LAND__MAX_BYTES", "1", "greater than or equal to 1024", "1024 or more"),
        ("ORDERLAKE_REQUIRE_SERVERS", "perhaps", "valid boolean", "true or false"),
        ("ORDERLAKE_PATHS", "/a:/b\n", "must not hold line breaks", "folders, ':' between them"),
        ("ORDERLAKE_CACHE_DIR", "/a:b", "Java cannot load jars", "a folder"),
        ("ORDERLAKE_HOME", "~nobody-of-that-name/x", "home directory", "a folder"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.fact.startswith(f"{name}=")
    assert says.lower() in caught.value.fact.lower()
    assert caught.value.allowed == allowed
    assert name in caught.value.remedy[0]


def test_a_controller_port_that_would_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller's port is the next one: after the last there is none."""
    monkeypatch.setenv("ORDERLAKE_KAFKA__PORT", "65535")
    with pytest.raises(SettingsError, match="ORDERLAKE_KAFKA__CONTROLLER_PORT is unset: there is no port after"):
        load_settings()
    monkeypatch.setenv("ORDERLAKE_KAFKA__CONTROLLER_PORT", "65534")
    assert load_settings().controller_port == 65534


def test_a_mistyped_name_is_refused_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERLAKE_KAFKA__PROT", "1")
    with pytest.raises(SettingsError, match="did you mean ORDERLAKE_KAFKA__PORT"):
        load_settings()


def test_a_mistyped_name_in_the_env_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ORDERLAKE_HOEM=x\n")
    with pytest.raises(SettingsError, match=r"ORDERLAKE_HOEM in \.env is not a setting"):
        load_settings()


def test_what_other_tools_keep_in_the_env_file_is_theirs(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HELLO=1\nKAFKA__PORT=x\nPORT=1\nORDERLAKE_KAFKA__PORT=20000\n")
    assert load_settings().kafka.port == 20000


@pytest.mark.parametrize("content", [b"ORDERLAKE_HOME=\xff\xfe\n", "ORDERLAKE_HOME=x\n".encode("utf-16")])
def test_an_env_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError, match=r"\.env cannot be read: .*utf-8"):
        load_settings()


def test_folders_are_absolute_once_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is given the settings may work in another folder."""
    for name in ("HOME", "PATHS", "CACHE_DIR"):
        monkeypatch.setenv(f"ORDERLAKE_{name}", f"some/{name}")
    settings = load_settings()
    assert (settings.home, settings.paths, settings.cache_dir) == (
        tmp_path / "some/HOME", (tmp_path / "some/PATHS",), tmp_path / "some/CACHE_DIR",
    )  # fmt: skip


def test_a_child_process_has_the_settings_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they came from, wherever it works, and whatever lies in .env there."""
    given = {
        "HOME": "lake", "PATHS": "one:two", "CACHE_DIR": "~/cache", "PARTITIONS_START": "2020-02-02",
        "REQUIRE_SERVERS": "true", "KAFKA__BOOTSTRAP_SERVERS": "a:1,b:2", "KAFKA__PORT": "20000", "KAFKA__HEAP": "1g",
        "KAFKA__TIMEOUT_SECONDS": "2.5", "LAND__FLUSH": "cheap", "AUTOMATION__TICK_SECONDS": "7",
        "ALERTS__WEBHOOK_URL": "https://example.org/secret", "LOG__LEVEL": "DEBUG", "UI__PORT": "4000",
    }  # fmt: skip
    (tmp_path / ".env").write_text("".join(f"ORDERLAKE_{name}={value}\n" for name, value in given.items()))
    monkeypatch.setenv("orderlake_ui__port", "4001")
    settings = load_settings()
    assert settings.ui.port == 4001
    environment = settings.environment()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in os.environ:
        if name.upper().startswith("ORDERLAKE_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
    assert "secret" not in repr(settings)


def test_every_setting_says_what_it_takes() -> None:
    assert all(setting.allowed for setting in declared().values())
    assert {setting.variable for setting in declared().values()} == set(declared())


def test_the_example_file_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    """.env.example is the documentation of the settings: it may not fall behind them."""
    example = (builtin_root() / ".env.example").read_text()
    for name, setting in declared().items():
        assert f"#{name}=" in example, f"{name} is missing in .env.example"
        assert setting.description in example, f"the description of {name} in .env.example is not that of the setting"
