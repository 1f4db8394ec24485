"""What the checks of the tables say now: read from the ledger, where the newest result of every day counts."""

from __future__ import annotations

import datetime as dt

from orderlake.curation.ledger import CHECK_RESULTS
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.pins import pin


def failing_days(lake: Lake, table: str) -> dict[str, list[dt.date]]:
    """Return the days, ascending, on which a check's newest result failed, by check; of a table."""
    ledger = lake.find(CHECK_RESULTS)
    if ledger is None:
        return {}
    with DuckSession() as session:
        session.attach([pin(ledger)])
        rows = session.execute(
            f"""
            with failed as (
                select distinct check_name, partition_key from {CHECK_RESULTS} where table_name = $table and not passed
            )
            select check_name, cast(partition_key as date)
            from {CHECK_RESULTS}
            join failed using (check_name, partition_key)
            where table_name = $table
            qualify row_number() over (partition by check_name, partition_key order by checked_at desc) = 1
                and not passed
            order by all
            """,
            {"table": table},
        ).fetchall()
    failing: dict[str, list[dt.date]] = {}
    for check, day in rows:
        failing.setdefault(check, []).append(day)
    return failing


def check_summary(lake: Lake) -> dict[str, tuple[int, int, list[str]]]:
    """Return per table how many checks pass now and how many fail, and the names of those that fail.

    A check fails if the newest result of any day of it failed.
    """
    ledger = lake.find(CHECK_RESULTS)
    if ledger is None:
        return {}
    with DuckSession() as session:
        session.attach([pin(ledger)])
        rows = session.execute(
            f"""
            with newest as (
                select * from {CHECK_RESULTS}
                qualify row_number() over (
                    partition by table_name, partition_key, check_name order by checked_at desc
                ) = 1
            ),
            checks as (
                select table_name, check_name, bool_and(passed) as passed from newest group by all
            )
            select
                table_name,
                count(*) filter (where passed),
                count(*) filter (where not passed),
                coalesce(list(check_name order by check_name) filter (where not passed), [])
            from checks
            group by table_name
            """
        ).fetchall()
    return {table: (passed, failed, names) for table, passed, failed, names in rows}
