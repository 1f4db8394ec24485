"""Commands for data contracts: list, show, lint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, json_option, pass_app, print_fields, print_json, print_table

if TYPE_CHECKING:
    from orderlake.contracts.model import Kind


@click.group()
def contract() -> None:
    """Look at data contracts and check them."""


@contract.command("list")
@json_option
@pass_app
def list_contracts(app: App, as_json: bool) -> None:
    """List the contracts of all topics and tables."""
    found = [*app.registry.topics.values(), *app.registry.tables.values()]
    rows = [(c.kind, c.physical_name, c.version, c.status, c.owner, len(c.columns), str(c.path)) for c in found]
    columns = ("kind", "name", "version", "status", "owner", "columns", "file")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@contract.command()
@click.argument("name")
@json_option
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show the contract of a topic or of a table: columns, types, rules and checks."""
    from orderlake.contracts.checks import compile_checks

    found = app.registry.any(name)
    checks = compile_checks(found) if found.kind == "table" else ()
    columns = [
        {
            "name": c.name,
            "type": str(c.type),
            "required": c.required,
            "classification": c.classification,
            "rules": _rules(c.constraints),
            "description": c.description,
        }
        for c in found
    ]
    checked = [
        {
            "name": c.name,
            "severity": c.severity,
            "dimension": c.dimension,
            "threshold": str(c.threshold),
            "line": c.line,
            "description": c.description,
        }
        for c in checks
    ]
    head = {
        "name": found.physical_name,
        "kind": found.kind,
        "title": found.title,
        "id": found.id,
        "version": found.version,
        "status": found.status,
        "owner": found.owner,
        "domain": found.domain,
        "grain": found.grain,
        "partition": f"{found.partition_column} by {found.partition_transform}" if found.partition_column else "",
        "description": found.description,
        "file": str(found.path),
    }
    if as_json:
        print_json(head | {"columns": columns, "checks": checked})
        return
    print_fields(head)
    for title, rows in (("Columns", columns), ("Checks", checked)):
        if rows:
            print_table(list(rows[0]), [list(row.values()) for row in rows], title)


def _rules(constraints: object) -> str:
    from dataclasses import asdict

    given = asdict(constraints).items()  # type: ignore[call-overload]
    return ", ".join(f"{name}: {_rule(value)}" for name, value in given if value is not None)


def _rule(value: object) -> str:
    return " | ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@contract.command()
@click.argument("file", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--kind", type=click.Choice(["topic", "table"]), help="What FILE has to describe; default: what it says itself."
)
@json_option
@pass_app
def lint(app: App, file: tuple[Path, ...], kind: Kind | None, as_json: bool) -> None:
    """Check contract files; without FILE all of the lake. Ends with 2 if one has an error."""
    from orderlake.contracts.registry import contract_files, examine_all, kind_of_place
    from orderlake.errors import ContractError

    chosen: list[tuple[Path, Kind | None]] = [(path, kind or kind_of_place(path)) for path in file]
    chosen = chosen or list(contract_files(app.settings.search_path))
    problems = [problem for _, _, found in examine_all(chosen) for problem in found]
    errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        print_json(
            {
                "files": len(chosen),
                "problems": [
                    {
                        "file": str(p.path), "line": p.line, "where": p.where,
                        "severity": p.severity, "message": p.message,
                    }
                    for p in problems
                ],
            }
        )  # fmt: skip
    else:
        for problem in problems:
            click.echo(f"{problem.severity}: {problem}")
        click.echo(f"{len(chosen)} contracts, {errors} errors, {len(problems) - errors} warnings")
    if not errors and not file:
        # What only shows with all contracts together: two of one topic, two topics in one table.
        _ = app.registry.topics
    if errors:
        raise ContractError(f"{errors} errors in {len(chosen)} contracts.", remedy="correct the lines named above.")


COMMANDS = (contract,)
