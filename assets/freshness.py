"""The check that a table's data is as young as its contract promises: by data time, not by when something ran.

It can be run by hand; as a rule `orchestration.freshness` evaluates it every minute without a run.
"""

import time

import dagster as dg

from assets.failures import as_failures
from assets.metadata import asset_key
from orderlake.curation.freshness import Freshness, measure
from orderlake.times import iso
from resources.lake import LakeResource

FRESHNESS = "freshness"


def freshness_check(table: str, limit: float) -> dg.AssetChecksDefinition:
    """Return the check of one table.

    Args:
        table: `namespace.table`.
        limit: promised by its contract, in seconds.
    """

    @dg.asset_check(
        asset=asset_key(table),
        name=FRESHNESS,
        description=f"The newest event in {table} is at most {limit:g} s behind the present.",
        metadata={"limit_seconds": limit},
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        with as_failures():
            found = measure(lake.open(), table, limit, time.time())
        return dg.AssetCheckResult(
            passed=found.passed, severity=dg.AssetCheckSeverity.WARN, description=str(found),
            metadata=freshness_metadata(found),
        )  # fmt: skip

    return check


def freshness_metadata(found: Freshness) -> dict[str, float | str]:
    """Return the metadata of an evaluation."""
    metadata: dict[str, float | str] = {"limit_seconds": found.limit}
    if found.age is not None and found.data_time is not None:
        metadata |= {"age_seconds": round(found.age, 3), "data_time": iso(found.data_time)}
    return metadata
