"""Gets the jars of a server: by Maven coordinates, verified against committed hashes, cached per user.

A lock file names every jar of a server's class path with its SHA-256. Nothing is resolved at run time, so what runs
is what was tested, and a half-finished or tampered download never becomes visible: jars are verified in a staging
folder that is renamed into place as a whole.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import filelock

from orderlake.errors import ServiceError
from orderlake.folders import make_folder
from orderlake.progress import task

_LOCKS = Path(__file__).parent / "artifacts"
_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact: Maven coordinates and the SHA-256 of the jar."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the jar, unique within a class path."""
        return f"{self.name}-{self.version}.jar"


def read_lock(name: str) -> list[Jar]:
    """Return the jars of `infra/native/artifacts/<name>.lock`."""
    jars = []
    for line in (_LOCKS / f"{name}.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, digest = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return jars


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def artifact_folder(cache: Path, name: str) -> Path:
    """Return where the jars of a lock file are kept; the lock's own hash is part of the name."""
    digest = sha256(_LOCKS / f"{name}.lock")[:12]
    return cache / "artifacts" / f"{name}-{digest}"


def damaged(folder: Path, name: str) -> list[str]:
    """Return the jars of a cached class path that are missing or are not what the lock file says."""
    return [
        jar.file_name
        for jar in read_lock(name)
        if not (folder / jar.file_name).is_file() or sha256(folder / jar.file_name) != jar.sha256
    ]


def fetch(cache: Path, name: str) -> Path:
    """Return the folder with the jars of a lock file, downloaded if they are not there yet.

    Raises:
        ServiceError: a jar cannot be downloaded, or is not the one that the lock file names.
    """
    folder = artifact_folder(cache, name)
    if folder.is_dir():
        return folder
    make_folder(folder.parent, "ORDERLAKE_CACHE_DIR")
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _download(name, folder)
    return folder


def _download(name: str, folder: Path) -> None:
    jars = read_lock(name)
    staging = folder.with_suffix(".staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    get = _downloader(staging / "repository")
    with task(f"Downloading {name}", total=len(jars)) as progress, ThreadPoolExecutor(_PARALLEL) as pool:
        for jar, path in zip(jars, pool.map(get, jars), strict=True):
            if sha256(path) != jar.sha256:
                raise ServiceError(
                    f"{jar.file_name} was downloaded, but is not the file that orderlake was tested with (SHA-256).",
                    remedy="check the Maven repository or proxy between you and Maven Central; then try again.",
                )
            path.rename(staging / jar.file_name)
            progress.advance()
    shutil.rmtree(staging / "repository")
    staging.rename(folder)


def _downloader(repository: Path) -> Callable[[Jar], Path]:
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository)

    def get(jar: Jar) -> Path:
        try:
            return context.project(jar.group, jar.name).at_version(jar.version).artifact().resolve()
        except (RuntimeError, OSError, requests.RequestException) as error:
            raise ServiceError(
                f"{jar.file_name} cannot be downloaded from Maven Central: {str(error).splitlines()[0]}.",
                remedy="check the network (and HTTPS_PROXY, REQUESTS_CA_BUNDLE behind a proxy); then try again.",
            ) from error

    return get
