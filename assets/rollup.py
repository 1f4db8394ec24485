"""The evaluation of a check that Dagster shows: the roll-up of what it said of every partition."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from assets.metadata import CAP
from orderlake.contracts.checks import CheckSpec
from orderlake.curation.audit import Finding
from orderlake.curation.scan import SAMPLES


def roll_up(
    findings: Sequence[Finding], checks: Sequence[CheckSpec], failing: Mapping[str, Sequence[dt.date]]
) -> Iterator[dg.AssetCheckResult]:
    """Yield one result per check; it passes if it fails on no partition, of this run or of the table.

    A check of severity info is a warning to Dagster, which knows only two; the metadata tell.

    Args:
        findings: what was measured, partition by partition.
        checks: which checks.
        failing: the days on which a check's newest result failed, by check; of the whole table.
    """
    by_check: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_check[finding.check.name].append(finding)
    for check in checks:
        found = by_check[check.name]
        failed = [finding for finding in found if not finding.passed]
        looked_at = {finding.day for finding in found}
        others = [day for day in failing.get(check.name, []) if day not in looked_at]
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
        if others:
            metadata["failing_before"] = [day.isoformat() for day in others[:CAP]]
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=None,
            passed=not failed and not others,
            # Days that failed before do not stop this run: what it made is good.
            severity=dg.AssetCheckSeverity.ERROR if check.blocking and failed else dg.AssetCheckSeverity.WARN,
            description=_verdict(check, found, failed, others),
            metadata=metadata,
        )


def _verdict(check: CheckSpec, found: Sequence[Finding], failed: Sequence[Finding], others: Sequence[dt.date]) -> str:
    if others and not failed:
        return f"passed here; still failing on {', '.join(map(str, others[:CAP]))}"
    if not found:
        return "no partition to look at"
    if not failed:
        return "passed"
    worst = max(failed, key=lambda finding: abs(finding.value))
    more = f", and on {len(failed) - 1} more days" if len(failed) > 1 else ""
    return f"{worst.value:g} on {worst.day}, {check.threshold} expected{more}"
