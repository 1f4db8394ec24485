"""Writes the lock file of a server's jars: `python -m infra.native.lock kafka`. For maintainers, on an upgrade.

Roots are resolved transitively one by one: resolved together, one root's dependency management changes the versions
of another's dependencies (log4j's would turn kafka-clients 4.3.1 into 3.9.1).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from infra.native.artifacts import sha256

#: Per server: what it is, the coordinates that are resolved with their dependencies, and single jars beside them.
ROOTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "kafka": (
        "Apache Kafka 4.3.1 (broker, KRaft) with its log4j binding",
        ("org.apache.kafka:kafka_2.13:4.3.1",),
        ("org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",),
    )
}


def lock_text(server: str, folder: Path) -> str:
    """Return the text of a server's lock file; jars are downloaded into `folder`."""
    from jgo.env import EnvironmentBuilder
    from jgo.maven import MavenContext

    title, roots, singles = ROOTS[server]
    context = MavenContext(repo_cache=folder / "repository")
    for root in roots:
        EnvironmentBuilder(context=context, cache_dir=folder / "environments").from_endpoint(root)
    for single in singles:
        single_group, single_name, version = single.split(":")
        context.project(single_group, single_name).at_version(version).artifact().resolve()
    lines = [
        f"# {title}: every jar of its class path, as Maven coordinates.",
        f"# Written by `python -m infra.native.lock {server}`; a jar whose SHA-256 differs is refused.",
    ]
    for jar in sorted((folder / "repository").rglob("*.jar")):
        *group, name, version, _ = jar.relative_to(folder / "repository").parts
        lines.append(f"{'.'.join(group)}:{name}:{version} {sha256(jar)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the lock files of the servers named on the command line."""
    for server in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            text = lock_text(server, Path(folder))
        (Path(__file__).parent / "artifacts" / f"{server}.lock").write_text(text)


if __name__ == "__main__":
    main()
