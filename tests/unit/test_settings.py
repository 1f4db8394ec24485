"""Settings fail at the start, name the mistake and say what is allowed; nothing is read twice or guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderlake.errors import SettingsError
from orderlake.settings import builtin_root, load_settings, setting_names


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
    ("name", "value", "says"),
    [
        ("ORDERLAKE_KAFKA__PORT", "abc", "valid integer"),
        ("ORDERLAKE_KAFKA__PORT", "0", "greater than or equal to 1"),
        ("ORDERLAKE_PROFILE", "stack", "'embedded'"),
        ("ORDERLAKE_LOG__LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("ORDERLAKE_PARTITIONS_START", "soon", "valid date"),
        ("ORDERLAKE_KAFKA__HEAP", "lots", "should match pattern"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert name in caught.value.fact
    assert says in str(caught.value)
    assert caught.value.remedy


def test_a_mistyped_name_is_refused_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERLAKE_KAFKA__PROT", "1")
    with pytest.raises(SettingsError, match="did you mean ORDERLAKE_KAFKA__PORT"):
        load_settings()


def test_a_mistyped_name_in_the_env_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ORDERLAKE_HOEM=x\n")
    with pytest.raises(SettingsError, match=r"ORDERLAKE_HOEM in \.env is not a setting"):
        load_settings()


def test_the_example_file_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    """.env.example is the documentation of the settings: it may not fall behind them."""
    example = (builtin_root() / ".env.example").read_text()
    for name, _, description in setting_names():
        assert f"#{name}=" in example, f"{name} is missing in .env.example"
        assert description in example, f"the description of {name} in .env.example is not that of the setting"
