"""The check that building a day again gives the rows that are published: incremental equals full."""

import dagster as dg

from assets.failures import as_failures
from assets.metadata import CAP, asset_key
from orderlake.curation.compare import Comparison, compare, sample_days
from orderlake.curation.models import Model
from resources.lake import LakeResource

INCREMENTAL_EQUALS_FULL = "incremental_equals_full"


def comparison_check(
    model: Model, newest: int, condition: dg.AutomationCondition[dg.AssetCheckKey] | None
) -> dg.AssetChecksDefinition:
    """Return the check of a model's table.

    Args:
        model: the model.
        newest: how many of the newest days it looks at, besides a few older ones.
        condition: when it is run; a condition of its own also keeps it out of automatic runs of a single day. Dagster
            takes every check of a table along in backfills.
    """

    @dg.asset_check(
        asset=asset_key(model.name),
        name=INCREMENTAL_EQUALS_FULL,
        description="Sampled days are built again, alone and with their neighbours, and give the published rows.",
        automation_condition=condition,
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        with as_failures():
            opened = lake.open()
            found, skipped = compare(opened, model, sample_days(opened, model, newest))
        differing = [comparison for comparison in found if not comparison.same]
        return dg.AssetCheckResult(
            passed=not differing,
            description=_verdict(found, differing),
            metadata={
                "days": sorted({str(comparison.day) for comparison in found})[:CAP],
                "days_out_of_date": [str(day) for day in skipped[:CAP]],
                "rows": sum(comparison.rows for comparison in found),
                "differences": dg.MetadataValue.table([_record(comparison) for comparison in differing[:CAP]], _SCHEMA),
            },
        )

    return check


_SCHEMA = dg.TableSchema(
    [dg.TableColumn(name) for name in ("day", "built with")]
    + [dg.TableColumn(name, "int") for name in ("rows", "missing", "surplus")]
    + [dg.TableColumn("samples")]
)


def _verdict(found: list[Comparison], differing: list[Comparison]) -> str:
    if not found:
        return "no built day to compare"
    if not differing:
        return f"{len({comparison.day for comparison in found})} days came out the same"
    days = sorted({str(comparison.day) for comparison in differing})
    return f"built again, {', '.join(days[:CAP])} came out differently"


def _record(comparison: Comparison) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "day": str(comparison.day), "built with": str(comparison.window), "rows": comparison.rows,
            "missing": comparison.missing, "surplus": comparison.surplus, "samples": "; ".join(comparison.samples),
        }
    )  # fmt: skip
