"""Types of settings that are more than a number or a text: ports, and folders that all parts of orderlake can use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

HIGHEST_PORT = 65535

Port = Annotated[int, Field(ge=1, le=HIGHEST_PORT)]


def _folder(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
    except RuntimeError as error:  # ~somebody who is not known here
        raise ValueError(str(error)) from error
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        # Iceberg's metadata and the servers' configuration are UTF-8.
        raise ValueError("the name of a folder must be UTF-8") from error
    if any(ord(character) < ord(" ") for character in str(path)):
        raise ValueError("the name of a folder must not hold line breaks, tabs or other control characters")
    return path


def _jar_folder(path: Path) -> Path:
    if os.pathsep in str(path):
        raise ValueError(f"Java cannot load jars from a folder whose name holds {os.pathsep!r}")
    return path


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part for part in value.split(os.pathsep) if part.strip()]
    return value


#: A folder is made absolute when it is read: a process that is given it may work in another one.
Folder = Annotated[Path, AfterValidator(_folder)]

#: A folder that stands in a Java class path.
JarFolder = Annotated[Folder, AfterValidator(_jar_folder)]

#: Several folders, in the order in which they are searched.
Folders = Annotated[tuple[Folder, ...], BeforeValidator(_split)]
