"""Tells people that something failed, or is well again: in the log always, and to a webhook if there is one."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from typing import Literal

from orderlake.errors import UnavailableError
from orderlake.settings import AlertSettings
from orderlake.times import iso, now_microseconds

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "recovered": logging.INFO}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell.

    Attributes:
        severity: `error` stops data, `warning` does not, `recovered` says that it is over.
        title: one line.
        text: what is known.
        table: of which table, if of one.
        check: of which of its checks.
        owner: the team that the table's contract names.
        run_id: the run that met it.
    """

    severity: Literal["error", "warning", "recovered"]
    title: str
    text: str
    table: str | None = None
    check: str | None = None
    owner: str | None = None
    run_id: str | None = None


def send(alert: Alert, settings: AlertSettings) -> None:
    """Log an alert and post it to the webhook.

    The body is a JSON object: the alert's fields, `at` (ISO date-time), and `source`, which is `orderlake`. Its `text`
    is what chat services show.

    Raises:
        UnavailableError: the webhook does not take it; it should be sent again later.
    """
    fields = {name: value for name, value in asdict(alert).items() if value is not None}
    logger.log(_LEVELS[alert.severity], alert.title, extra={"fields": fields})
    if settings.webhook_url is None:
        return
    body = fields | {"text": f"{alert.title}: {alert.text}", "source": "orderlake", "at": iso(now_microseconds())}
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme is what the operator configured
            settings.webhook_url.get_secret_value(),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            pass
    except (OSError, ValueError) as error:
        # The address may hold a secret: it is neither logged nor raised.
        reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise UnavailableError(
            f"the webhook did not take the alert {alert.title!r}: {reason}.",
            remedy="see whether ORDERLAKE_ALERTS__WEBHOOK_URL is right and its server answers.",
        ) from None
