"""The sensor that misses nothing: it compares every day with what it was built from, and asks for what is out of date.

Events can be lost: a daemon that was down, an instance that was deleted, a run that was killed. State cannot. Each
state is asked for once, so that a day whose check fails is not tried again before something about it has changed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

import dagster as dg

from assets.curated import ONLY_STALE
from assets.metadata import asset_key
from orchestration.ranges import Job, jobs_for
from orderlake.curation.models import Model
from orderlake.curation.staleness import MODEL_CHANGED, Plan, StaleDay, plan
from orderlake.settings import AutomationSettings
from resources.lake import LakeResource


def catch_up_sensor(
    models: Sequence[Model], job: dg.UnresolvedAssetJobDefinition, settings: AutomationSettings
) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        models: each after those it reads.
        job: builds their tables.
        settings: how often it looks.
    """

    @dg.sensor(
        name="catch_up",
        job=job,
        minimum_interval_seconds=settings.catch_up_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for every day that is out of date and that no event has told of.",
    )
    def sensor(lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
        stale = _of_automation(plan(lake.open(), models), dt.datetime.now(dt.UTC).date())
        requests = [_request(found, stale) for found in jobs_for(stale, models)]
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("every day is up to date")

    return sensor


def _of_automation(stale: Plan, today: dt.date) -> Plan:
    """Leave out days that have not begun, and those that only a changed model makes out of date.

    To build years anew because of a new model is for people to decide.
    """

    def wanted(found: StaleDay) -> bool:
        return found.day <= today and found.reason != MODEL_CHANGED

    return Plan({name: list(filter(wanted, days)) for name, days in stale.stale.items()}, stale.idle)


def _request(job: Job, stale: Plan) -> dg.RunRequest:
    reasons = [
        f"{found.table} {found.day} {found.state}"
        for table in job.tables
        for found in stale.stale[table]
        if job.window.first <= found.day <= job.window.last
    ]
    return dg.RunRequest(
        run_key=hashlib.sha256("\n".join(reasons).encode()).hexdigest(),
        asset_selection=[asset_key(name) for name in job.tables],
        tags={**job.tags, ONLY_STALE: "true"},
    )
