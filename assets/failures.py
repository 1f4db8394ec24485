"""Turns orderlake's errors into Dagster's failures: the message without traceback, retried where that may help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from orderlake.errors import ChecksFailedError, CommitConflictError, OrderlakeError, UnavailableError

#: Metadata of a failure: the exit code of a command that meets it.
EXIT_CODE = "exit_code"


@contextmanager
def as_failures() -> Iterator[None]:
    """Raise an error of orderlake as a failure of the step.

    Only what passes by itself (a busy catalog, a store that does not answer, a faster writer) is worth another try; a
    wrong model fails the same way a second time.
    """
    try:
        yield
    except OrderlakeError as error:
        transient = isinstance(error, UnavailableError | CommitConflictError)
        raise dg.Failure(str(error), {EXIT_CODE: error.exit_code}, allow_retries=transient) from error


def checks_failed(text: str) -> dg.Failure:
    """Return the failure of a step that has withheld what failed its checks."""
    return dg.Failure(text, {EXIT_CODE: ChecksFailedError.exit_code}, allow_retries=False)
