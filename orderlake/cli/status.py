"""The command that shows how everything is: servers, topics, tables."""

from __future__ import annotations

import click

from orderlake.cli.app import App, json_option, pass_app, print_json, print_table


@click.command()
@json_option
@pass_app
def status(app: App, as_json: bool) -> None:
    """Show servers, topics (offsets, lag, rows) and tables (rows, watermark, checks)."""
    from infra.native.lifecycle import status as server_status
    from orderlake.curation.models import load_models
    from orderlake.curation.status import table_status
    from orderlake.progress import shown, task
    from streaming.status import topic_status

    with shown(enabled=not as_json), task("Looking"):
        servers = server_status(app.settings)
        topics = topic_status(app.settings, app.lake, sorted(app.registry.topics))
        tables = table_status(app.lake, load_models(app.settings.search_path, app.registry))
    if as_json:
        print_json(
            {
                "profile": app.settings.profile,
                "home": str(app.settings.home),
                "kafka": app.settings.bootstrap_servers,
                "servers": servers,
                "topics": topics,
                "tables": tables,
            }
        )
        return
    if servers:
        print_table(
            ("server", "state", "address", "pid", "MB", ""),
            [(s.title, s.state, s.address, s.pid and str(s.pid), s.memory_mb, s.detail) for s in servers],
            "Servers",
        )
    else:
        click.echo(f"Kafka: {app.settings.bootstrap_servers} (yours)")
    print_table(
        ("topic", "state", "end offsets", "landed", "lag", "raw rows", "in quarantine"),
        [
            (t.topic, t.state, t.end_offsets, t.landed_offsets, t.lag, t.raw_rows, t.quarantine_rows)
            for t in topics
        ],
        "Topics",
    )  # fmt: skip
    print_table(
        ("table", "rows", "partitions", "last snapshot", "watermark", "stale days", "checks"),
        [
            (
                t.table, t.rows, t.partitions, t.snapshot_at, t.watermark, t.stale_days,
                _checks(t.checks_passed, t.failing_checks),
            )
            for t in tables
        ],
        "Tables",
    )  # fmt: skip


def _checks(passed: int, failing: list[str]) -> str:
    if not passed and not failing:
        return ""
    return f"{passed} passed" + (f", failing: {', '.join(failing)}" if failing else "")


COMMANDS = (status,)
