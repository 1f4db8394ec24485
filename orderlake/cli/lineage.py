"""The command that shows where columns come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orderlake.cli.app import App, pass_app, print_json

if TYPE_CHECKING:
    from orderlake.curation.lineage.graph import Lineage
    from orderlake.curation.lineage.values import TableLineage


@click.command()
@click.argument("name", required=False, metavar="[TABLE[.COLUMN]]")
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--mermaid", "form", flag_value="mermaid", help="Print a Mermaid flowchart.")
@pass_app
def lineage(app: App, name: str | None, form: str | None) -> None:
    """Show where columns come from, down to the JSON paths of the topics; without TABLE for all tables.

    COLUMN may lead into a nested column: raw.shipments_v1.payload.data.order_id. The word in parentheses says how an
    input is used; `rows` are the columns that identify the rows a count(*) counts.
    """
    from orderlake.curation.lineage.graph import Lineage
    from orderlake.curation.lineage.render import document, mermaid, tree
    from orderlake.curation.models import load_models

    models = load_models(app.settings.search_path, app.registry)
    found = Lineage(models, app.registry.topics.values())
    tables = [select(found, name)] if name else [found.table(table) for table in models]
    if form == "json":
        print_json({"tables": [document(table) for table in tables]})
        return
    render = mermaid if form == "mermaid" else tree
    click.echo("\n\n".join(render(found, table) for table in tables))


def select(lineage: Lineage, name: str) -> TableLineage:
    """Return the lineage of a table, or of one column of it, possibly of what is inside that column.

    Raises:
        InputError: there is no such table or column.
    """
    from orderlake.curation.lineage.values import Ref, TableLineage
    from orderlake.errors import InputError

    namespace, _, rest = name.partition(".")
    plain, *parts = rest.split(".")
    table = f"{namespace}.{plain}"
    if table not in lineage.tables:
        raise InputError(f"{name!r} names no table of this lake.", allowed=lineage.tables)
    if not parts:
        return lineage.table(table)
    columns = {column.lower(): column for column in lineage.columns(table)}
    column = columns.get(parts[0].lower())
    if column is None:
        raise InputError(f"{table} has no column {parts[0]!r}.", allowed=columns.values())
    return TableLineage(table, (lineage.column(Ref(table, column, tuple(parts[1:]))),), lineage.table(table).filters)


COMMANDS = (lineage,)
