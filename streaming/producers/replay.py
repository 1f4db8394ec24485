"""Replays a file of JSON lines into a topic, byte for byte: plain, gzip or zstandard."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec
import zstandard

from orderlake.errors import InputError
from orderlake.progress import task
from streaming.producers.delivery import Record

_BROKEN = (OSError, EOFError, zlib.error, zstandard.ZstdError)


def _open(path: Path) -> IO[bytes]:
    match path.suffix:
        case ".gz":
            return cast("IO[bytes]", gzip.open(path, "rb"))
        case ".zst":
            # A file may be several frames (zstd appends so); its plain reader would end after the first.
            frames = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)
            return io.BufferedReader(cast("io.RawIOBase", frames))
    return path.open("rb")


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file without their newline; empty lines are passed over."""
    return (text for _, text in _numbered(path))


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removesuffix(b"\n")
            if text:
                yield number, text


def line_numbers(path: Path, values: Collection[bytes | None]) -> list[int]:
    """Return the numbers, from 1, of the lines that are among the values: to say where a refused message stands."""
    return [number for number, text in _numbered(path) if text in values]


def count_lines(path: Path) -> int:
    """Read a file to its end and return the number of its lines, so that a damaged file is known before it is sent.

    Raises:
        InputError: the file is missing or no file, or its compression is damaged or cut off.
    """
    if not path.exists():
        raise InputError(f"there is no file {path}.", remedy="correct the path.")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        raise InputError(
            f"{path} is {what}, not a file.", remedy="give a file of JSON lines; it is read twice, first to check it."
        )
    counted = 0
    try:
        with task(f"Reading {path.name}"):
            for _ in lines(path):
                counted += 1
    except _BROKEN as error:
        raise InputError(
            f"{path} is damaged or cut off after line {counted}: {error}. Nothing was sent.",
            remedy="get the file again; `gzip -t` or `zstd -t` checks it.",
        ) from error
    if path.suffix == ".zst" and not _ends_complete(path):
        raise InputError(
            f"{path} is cut off after line {counted}. Nothing was sent.",
            remedy="get the file again; `zstd -t` checks it.",
        )
    return counted


def _ends_complete(path: Path) -> bool:
    """Return whether the last zstandard frame ends: the streaming reader takes a file cut off for one that ends."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            while chunk:
                decompressor.decompress(chunk)
                chunk = decompressor.unused_data if decompressor.eof else b""
                if decompressor.eof and chunk:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
    return decompressor.eof


def records(path: Path, key_field: str | None) -> Iterator[Record]:
    """Yield the messages of a file.

    Args:
        path: the file.
        key_field: the field of the JSON object that becomes the message's key; a line without it has no key.
    """
    if key_field is None:
        for line in lines(path):
            yield None, line
        return
    fields = [("key", msgspec.Raw, msgspec.field(default=msgspec.Raw()))]
    decode = msgspec.json.Decoder(msgspec.defstruct("Keyed", fields, rename={"key": key_field})).decode
    for line in lines(path):
        yield _key(decode, line), line


def _key(decode: object, line: bytes) -> bytes | None:
    try:
        raw = bytes(decode(line).key)  # type: ignore[operator]
        value = msgspec.json.decode(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return str(value).encode() if isinstance(value, str | int) else None
