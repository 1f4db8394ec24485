"""What is wrong with a contract, and where: file, line and path of every finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orderlake.contracts.document import Document, Location
from orderlake.errors import ContractError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding; an `error` makes the contract unusable, a `warning` does not."""

    path: Path
    line: int
    where: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = f" {self.where}:" if self.where else ""
        return f"{self.path}:{self.line}:{where} {self.message}"


def location_text(location: Location) -> str:
    """Return `schema[0].properties[2].name` for the location of a value."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Findings:
    """Collects the problems of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def error(self, location: Location, message: str, *, line: int = 0) -> None:
        """Add an error at a location; `line` is given where it is known better."""
        self._add(location, message, "error", line)

    def warning(self, location: Location, message: str) -> None:
        """Add a warning at a location."""
        self._add(location, message, "warning", 0)

    def _add(self, location: Location, message: str, severity: Literal["error", "warning"], line: int) -> None:
        line = line or self.document.line(location)
        self.problems.append(Problem(self.document.path, line, location_text(location), message, severity))


def raise_errors(problems: Sequence[Problem]) -> None:
    """Raise one ContractError that lists every problem of severity error, if there is one.

    Raises:
        ContractError: at least one problem is an error.
    """
    errors = sorted(problem for problem in problems if problem.severity == "error")
    if errors:
        count = "a problem" if len(errors) == 1 else f"{len(errors)} problems"
        lines = "\n".join(f"  {problem}" for problem in errors)
        raise ContractError(
            f"the contract {errors[0].path} has {count}:\n{lines}",
            remedy="correct the file; `orderlake contract lint` checks it again.",
        )
