"""A file is replayed byte for byte, or not at all: a damaged one is known before its first line is sent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from orderlake.errors import InputError
from streaming.producers.replay import count_lines, line_numbers, records

LINES = [
    b'{"order_id": "A-1", "x": 1}',
    b"not JSON",
    b'  {"order_id": 5}\r',
    b'{"other": 1}',
    b"\xff\xfe",
    b'{"order_id": null}',
]


def write(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.compress(content))
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["orders.jsonl", "orders.jsonl.gz", "orders.jsonl.zst"])
@pytest.mark.parametrize("end", [b"\n", b""], ids=["newline at the end", "no newline at the end"])
def test_every_line_is_sent_untouched(tmp_path: Path, name: str, end: bytes) -> None:
    path = write(tmp_path / name, b"\n".join(LINES) + end)
    assert count_lines(path) == len(LINES)
    assert [value for _, value in records(path, None)] == LINES


def test_empty_lines_are_not_messages(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", b"\n\n{}\n\n")
    assert count_lines(path) == 1


def test_the_key_is_a_field_of_the_line_where_it_has_one(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", b"\n".join(LINES))
    assert [key for key, _ in records(path, "order_id")] == [b"A-1", None, b"5", None, None, None]


@pytest.mark.parametrize("name", ["orders.jsonl.gz", "orders.jsonl.zst"])
def test_a_file_cut_off_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"".join(b'{"n": %d, "x": "%d"}\n' % (i, i * 7919 % 10007) for i in range(5_000)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="Nothing was sent"):
        count_lines(path)


@pytest.mark.parametrize("name", ["orders.jsonl.gz", "orders.jsonl.zst"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"plain": "text"}\n')
    with pytest.raises(InputError, match="damaged or cut off"):
        count_lines(tmp_path / name)


def test_several_compressed_frames_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "two.gz").write_bytes(gzip.compress(b"{}\n") + gzip.compress(b"{}\n"))
    (tmp_path / "two.zst").write_bytes(zstandard.compress(b"{}\n") + zstandard.compress(b"{}\n"))
    assert count_lines(tmp_path / "two.gz") == 2
    assert count_lines(tmp_path / "two.zst") == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.jsonl"):
        count_lines(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(("name", "what"), [(".", "a folder"), ("/dev/null", "a device or a pipe")])
def test_what_is_there_and_no_file_is_said_to_be_that(name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"is {what}, not a file"):
        count_lines(Path(name))


def test_a_line_is_found_again_by_its_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl.gz", b"a\n\nb\nc\nb\n")
    assert line_numbers(path, {b"b", b"a", None}) == [1, 3, 5]
