"""DuckDB sessions: extensions are verified once a process, and nothing unsigned comes in because of that."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from orderlake.lake import duck
from orderlake.lake.duck import DuckSession, extension_path


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of an extension that sessions load in place of the installed one."""
    path = tmp_path / "avro.duckdb_extension"
    shutil.copyfile(extension_path("avro"), path)
    monkeypatch.setattr(duck, "extension_path", lambda name: path if name == "avro" else extension_path(name))
    return path


def spoil(path: Path) -> None:
    """Put a file with another signature in its place; the signature is what it ends with."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    # Not written into the file itself: it is mapped into memory once it has been loaded.
    other = path.with_suffix(".other")
    other.write_bytes(content)
    other.replace(path)


def test_a_file_is_verified_before_it_is_trusted(copied: Path) -> None:
    spoil(copied)
    with pytest.raises(duckdb.Error, match="signature"):
        DuckSession()


def test_a_file_that_was_verified_is_verified_again_once_it_has_changed(copied: Path) -> None:
    DuckSession().close()
    spoil(copied)
    with pytest.raises(duckdb.Error, match="signature"):
        DuckSession()


def test_no_session_lets_anything_else_in_unsigned() -> None:
    DuckSession().close()
    with DuckSession() as session:
        (allowed,) = session.execute("select current_setting('allow_unsigned_extensions')").fetchone() or (None,)
        assert allowed is False
        with pytest.raises(duckdb.Error, match="running"):
            session.connection.execute("set allow_unsigned_extensions = true")


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count what a process reads")
def test_later_sessions_do_not_read_the_extensions_to_verify_them() -> None:
    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    DuckSession().close()
    before = read()
    DuckSession().close()
    assert read() - before < extension_path("avro").stat().st_size, "the smallest of the three"
