"""When curated tables are built without being asked: the automation conditions, and the sensor that evaluates them.

Dagster's `eager()` acts on the newest partition only, waits for inputs that are silent, and forgets an update that
comes while the run for the update before is under way. Here every day counts, a silent input blocks nothing, and an
update of a raw day is forgotten only when a run was requested after it. Failed checks need no condition: what fails
is not published, so nothing downstream hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from assets.curated import ONLY_STALE


def refresh_on_update(raw_tables: Iterable[dg.AssetKey]) -> dg.AutomationCondition[dg.AssetKey]:
    """Return the condition of curated tables: a day is built once after any day it is made from has changed.

    Raw days change from outside, so only a request answers them. Curated days change by runs, which as a rule build
    what depends on them as well; an update is answered by having been built, too.

    Args:
        raw_tables: the tables that change from outside.
    """
    raw = dg.AssetSelection.assets(*raw_tables)
    condition = dg.AutomationCondition
    requested, begun = condition.newly_requested(), condition.initial_evaluation()
    landed = condition.any_deps_match(condition.newly_updated()).allow(raw)
    published = condition.any_deps_match(condition.newly_updated() | condition.will_be_requested()).ignore(raw)
    # Dagster notices a request one tick late, and a reset beats what comes in the same tick: an update that comes right
    # after a request would be lost with it, if the reset did not make way.
    changed = landed.since((requested & ~landed) | begun) | published.since(
        (requested & ~published) | condition.newly_updated() | begun
    )
    return (changed & ~condition.any_deps_in_progress() & ~condition.in_progress()).with_label("refresh_on_update")


#: When published days are built again and compared, by profile. A profile that is not named does not do it.
NIGHTLY = {"embedded": "17 3 * * *"}


def nightly(profile: str) -> dg.AutomationCondition[dg.AssetCheckKey] | None:
    """Return the condition of checks that run once a night (UTC) in a profile; None where they do not."""
    cron = NIGHTLY.get(profile)
    if cron is None:
        return None
    condition = dg.AutomationCondition
    tick: dg.AutomationCondition[dg.AssetCheckKey] = condition.cron_tick_passed(cron, "UTC")
    return (tick & ~condition.in_progress()).with_label("nightly")


def automation_sensor(seconds: int) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the conditions; its runs build only what is out of date."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=seconds,
        run_tags={ONLY_STALE: "true"},
        description="Builds the days of curated tables whose inputs have changed.",
    )
