"""What the documents claim: links lead somewhere, commands exist, examples work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest

from orderlake.cli.main import cli
from orderlake.contracts.decoding.base import VIOLATION_CODES
from orderlake.contracts.registry import Registry
from orderlake.curation.models import load_models
from orderlake.settings import builtin_root

ROOT = builtin_root()
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def code_blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist_with_their_options(document: Path) -> None:
    for block in code_blocks(document, "bash"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["make"]:
                assert set(words[1:]) <= MAKE_TARGETS, line
            if "orderlake" in words[:1]:
                options = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
                assert options <= known_options(words[1:]), line


def known_options(words: list[str]) -> set[str]:
    """Return the options of the command that words call; fail if there is no such command."""
    command: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        assert found, f"there is no command {word}"
        command = found
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def test_the_example_of_an_own_topic_and_table_loads(tmp_path: Path) -> None:
    document = ROOT / "docs" / "contracts.md"
    topic, table = code_blocks(document, "yaml")
    (model,) = code_blocks(document, "sql")
    files = {
        "contracts/topics/payments.received.v1.yaml": topic,
        "contracts/tables/marts/daily_payments.yaml": table,
        "sql/models/marts/daily_payments.sql": model,
    }
    for name, text in files.items():
        assert name.rsplit("/", 1)[1] in document.read_text()
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    registry = Registry((tmp_path, ROOT))
    assert registry.topic("payments.received.v1").partition_column == "paid_at"
    assert "marts.daily_payments" in load_models((tmp_path, ROOT), registry)


def test_every_violation_code_is_explained() -> None:
    text = (ROOT / "docs" / "contracts.md").read_text()
    table = text.split("| code | meaning |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z_0-9]+)` \|", table, re.M)) == set(VIOLATION_CODES)


def test_the_diagram_of_lineage_is_what_the_command_prints() -> None:
    from click.testing import CliRunner

    (diagram,) = code_blocks(ROOT / "docs" / "lineage.md", "mermaid")
    assert CliRunner().invoke(cli, ["lineage", "marts.daily_orders", "--mermaid"]).stdout == diagram
    tree = CliRunner().invoke(cli, ["lineage", "marts.daily_orders.average"]).stdout
    assert f"```\n{tree}```" in (ROOT / "docs" / "lineage.md").read_text()


def test_every_kind_of_lineage_is_explained() -> None:
    from orderlake.curation.lineage.values import Kind

    table = (ROOT / "docs" / "lineage.md").read_text().split("| type | kind | meaning |")[1].split("\n\n")[0]
    explained = {kind for row in table.splitlines()[2:] for kind in re.findall(r"`([a-z_]+)`", row.split("|")[2])}
    assert explained == set(get_args(Kind))
