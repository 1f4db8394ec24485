"""Every error a user can meet, and the exit code it ends a command with.

An error states the fact, the allowed values where there are any, and the remedy. Raise the most precise class;
add a class only where a caller would treat it differently. Programming mistakes stay ordinary exceptions: they
deserve their traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class OrderlakeError(Exception):
    """Base of all errors that are shown to a user as a message instead of a traceback.

    Attributes:
        fact: what is the case, in one sentence.
        allowed: the values that would have been accepted, if the fact is about a value.
        remedy: what to do about it; several lines where there is a choice.
        exit_code: the exit status of a command that ends with this error.
    """

    exit_code = 1

    def __init__(self, fact: str, *, allowed: str | Iterable[str] = (), remedy: str | Iterable[str] = ()) -> None:
        self.fact = fact
        self.allowed = allowed if isinstance(allowed, str) else ", ".join(allowed)
        self.remedy = [remedy] if isinstance(remedy, str) else list(remedy)
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the fact, the allowed values and the remedies, one a line."""
        lines = [self.fact]
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        lines.extend(f"  remedy: {line}" for line in self.remedy if line)
        return "\n".join(lines)


class SettingsError(OrderlakeError):
    """A setting is unknown, has a value that is not allowed, or is missing."""

    exit_code = 2


class InputError(OrderlakeError):
    """An argument, a file or a statement that the user gave cannot be used."""

    exit_code = 2


class ContractError(OrderlakeError):
    """A data contract cannot be found, read or compiled."""

    exit_code = 2


class ModelError(OrderlakeError):
    """A SQL model cannot be read, or its result does not fit its contract."""

    exit_code = 2


class QueryError(OrderlakeError):
    """A SQL statement was refused."""

    exit_code = 2


class ConnectionClosedError(OrderlakeError):
    """A connection of the Python API is used after it was closed."""


class UnavailableError(OrderlakeError):
    """A server, a store or a package that is needed is not there."""

    exit_code = 3


class CatalogError(UnavailableError):
    """The Iceberg catalog cannot be opened or read."""


class ServiceError(UnavailableError):
    """A native server cannot be obtained, started or stopped."""


class LandingRefusedError(OrderlakeError):
    """Landing would lose or double messages, so it does not start or does not go on."""

    exit_code = 4


class FencedError(LandingRefusedError):
    """Another writer has moved the table's state: this one is a zombie and must stop."""


class CommitConflictError(OrderlakeError):
    """A commit lost against concurrent writers more often than it may retry."""

    exit_code = 5


class ChecksFailedError(OrderlakeError):
    """A blocking contract check failed: nothing was published."""

    exit_code = 6
