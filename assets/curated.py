"""Tables made by SQL models: one asset per model, its contract's checks as the asset's own checks.

Every model in `sql/models/` becomes an asset here; nothing is written by hand for a new table.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.metadata import CAP, asset_key, contract_metadata, owners, tags
from assets.partitions import window_of
from orderlake.contracts.checks import CheckSpec, compile_checks
from orderlake.curation.audit import Finding
from orderlake.curation.build import BuildResult, build, check_published
from orderlake.curation.models import Model
from orderlake.curation.scan import SAMPLES
from orderlake.errors import CommitConflictError, OrderlakeError, UnavailableError
from resources.lake import LakeResource

#: What an asset's function may yield.
Event = dg.AssetCheckResult | dg.MaterializeResult[Any]


def check_spec(model: Model, check: CheckSpec) -> dg.AssetCheckSpec:
    """Return a contract's check as a check of the model's asset."""
    return dg.AssetCheckSpec(
        check.name,
        asset=asset_key(model.name),
        blocking=check.blocking,
        description=check.description or None,
        metadata={
            "threshold": str(check.threshold),
            "dimension": check.dimension,
            "severity": check.severity,
            "contract": model.contract.place(check.line),
        },
    )


def curated_asset(model: Model, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """Return the asset of a model.

    It builds one day or a range of days in one publication. Its checks can also be run alone: then they look at every
    published day.
    """
    namespace, table = model.name.split(".")
    key = asset_key(model.name)
    checks = {check.name: check for check in compile_checks(model.contract)}

    @dg.multi_asset(
        name=f"{namespace}__{table}",
        specs=[
            dg.AssetSpec(
                key,
                deps=[asset_key(name) for name in model.inputs],
                description=f"{model.contract.title}. {model.contract.description}",
                group_name=namespace,
                owners=owners(model.contract),
                tags=tags(model.contract, namespace),
                kinds={"iceberg", "duckdb", "sql"},
                code_version=model.code_version,
                metadata=contract_metadata(model.contract, model.name),
            )
        ],
        check_specs=[check_spec(model, check) for check in checks.values()],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=f"{namespace}_{table}",
    )
    def run(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Event]:
        try:
            if key not in context.selected_asset_keys:
                chosen = [checks[selected.name] for selected in context.selected_asset_check_keys]
                yield from _results(check_published(lake.open(), model, chosen, context.run.run_id), chosen)
                return
            result = build(lake.open(), model, window_of(context), context.run.run_id)
        except OrderlakeError as error:
            # The machinery failed, no check did. Only what passes by itself is worth another try.
            transient = isinstance(error, UnavailableError | CommitConflictError)
            raise dg.Failure(str(error), allow_retries=transient) from error
        yield from _results(result.findings, list(checks.values()))
        if result.blocking:
            raise dg.Failure(_refusal(result), allow_retries=False)
        for day in result.window.days:
            context.add_asset_metadata(
                {"dagster/partition_row_count": result.rows.get(day, 0)}, asset_key=key, partition_key=day.isoformat()
            )
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(result))

    return run


def _results(findings: Sequence[Finding], checks: Sequence[CheckSpec]) -> Iterator[dg.AssetCheckResult]:
    """Yield one result per check, the roll-up of its partitions: it passes if none of them failed.

    A check of severity info is a warning to Dagster, which knows only two; the metadata tell.
    """
    by_check: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_check[finding.check.name].append(finding)
    for check in checks:
        found = by_check[check.name]
        failed = [finding for finding in found if not finding.passed]
        metadata: dict[str, Any] = {
            "partitions": len(found),
            "rows": sum(finding.rows for finding in found),
            "value": sum(finding.value for finding in found),
            "threshold": str(check.threshold),
            "severity": check.severity,
            "answered_by": ", ".join(sorted({finding.answered_by for finding in found})),
        }
        if found:
            metadata["contract"] = found[0].contract_line
        if failed:
            metadata["failed_partition_count"] = len(failed)
            metadata["failed_partitions"] = [finding.day.isoformat() for finding in failed[:CAP]]
            metadata["failed_value"] = sum(finding.value for finding in failed)
            metadata["samples"] = [sample for finding in failed for sample in finding.samples][:SAMPLES]
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=None,
            passed=not failed,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            description=_verdict(check, found, failed),
            metadata=metadata,
        )


def _verdict(check: CheckSpec, found: Sequence[Finding], failed: Sequence[Finding]) -> str:
    if not found:
        return "no partition to look at"
    if not failed:
        return "passed"
    worst = max(failed, key=lambda finding: abs(finding.value))
    more = f", and on {len(failed) - 1} more days" if len(failed) > 1 else ""
    return f"{worst.value:g} on {worst.day}, {check.threshold} expected{more}"


def _refusal(result: BuildResult) -> str:
    names = sorted({finding.check.name for finding in result.blocking})
    return (
        f"{result.window} of {result.model.name} was not published: {', '.join(names[:CAP])} failed. "
        "The days keep what they had."
    )


def _metadata(result: BuildResult) -> dict[str, Any]:
    inputs = {f"input/{name}": str(snapshot) for name, snapshot in result.inputs.items()}
    return {
        "dagster/row_count": sum(result.rows.values()),
        "window": str(result.window),
        "iceberg/snapshot_id": str(result.snapshot_id),
        "publish_id": result.publish_id,
        **inputs,
    }
