"""Makes the folders that settings name, or says why one cannot be had; and names places outside of them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from orderlake.errors import SettingsError


def make_folder(path: Path, setting: str) -> Path:
    """Return a folder in which files can be made, created where it does not exist.

    Args:
        path: the folder.
        setting: the setting it comes from.

    Raises:
        SettingsError: it cannot be created, is no folder, or may not be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _unusable(path, setting, "is a file, not a folder") from error
    except OSError as error:
        raise _unusable(path, setting, f"cannot be created: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unusable(path, setting, "may not be written by you")
    return path


def outside(folder: Path, suffix: str) -> Path:
    """Return a path with a short and plain name that belongs to a folder, among this user's temporary files.

    For what cannot lie in the folder itself: it may be deep, and its name may mean something else to others.
    """
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"orderlake-{os.getuid()}" / f"{name}{suffix}"


def _unusable(path: Path, setting: str, fact: str) -> SettingsError:
    return SettingsError(f"the folder {path} {fact}.", remedy=f"set {setting} to another folder, or correct this one.")
