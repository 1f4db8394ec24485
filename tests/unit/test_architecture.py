"""The architecture's promises: imports point down, landing runs without Dagster, the command line starts at once."""

from __future__ import annotations

import subprocess
import sys

from orderlake.settings import builtin_root


def modules_after(statement: str) -> set[str]:
    """Return the modules that a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=builtin_root(), timeout=120
    )
    return set(done.stdout.split())


def test_imports_point_down() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--config", "pyproject.toml"],
        capture_output=True, text=True, check=False, cwd=builtin_root(), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout, "the contracts were not looked at"


def test_streaming_does_not_import_dagster() -> None:
    loaded = modules_after("import streaming, streaming.lander.lander, streaming.balance, streaming.status")
    assert "streaming.lander.lander" in loaded
    assert "dagster" not in loaded


def test_the_command_line_loads_nothing_heavy_before_a_command_runs() -> None:
    loaded = modules_after("import orderlake.cli.main")
    assert "click" in loaded
    heavy = {"pyarrow", "pyiceberg", "duckdb", "confluent_kafka", "pydantic", "sqlalchemy", "dagster", "rich", "yaml"}
    assert not loaded & heavy


def test_importing_the_library_loads_nothing_heavy_before_a_lake_is_opened() -> None:
    loaded = modules_after("import orderlake; orderlake.connect, orderlake.OrderlakeError, orderlake.errors")
    assert "orderlake.errors" in loaded
    heavy = {"pyarrow", "pyiceberg", "duckdb", "pandas", "numpy", "pydantic", "sqlalchemy", "dagster", "yaml", "click"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("orderlake.")} - {"orderlake.errors"}


def test_reading_from_python_does_not_load_dagster_or_kafka() -> None:
    loaded = modules_after("import orderlake; orderlake.Connection, orderlake.TableView, orderlake.QueryResult")
    assert "duckdb" in loaded
    assert not loaded & {"dagster", "confluent_kafka"}


def test_the_library_is_typed() -> None:
    assert (builtin_root() / "orderlake" / "py.typed").exists()


def test_the_code_location_loads_in_a_fresh_interpreter() -> None:
    """Dagster imports it so; what only works because a test imported something before, fails here."""
    code = (
        "import dagster as dg\n"
        "from orchestration.definitions import defs\n"
        "loaded = defs()\n"
        "dg.Definitions.validate_loadable(loaded)\n"
        "print(len(loaded.resolve_all_asset_keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", code],
        capture_output=True, text=True, check=False, cwd=builtin_root(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 4
