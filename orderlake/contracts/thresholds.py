"""What a measured number must be for a check to pass: the operators and units of ODCS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Number = float | int


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a measured number must be for a check to pass (the ODCS operators)."""

    operator: str = "mustBe"
    operand: Number | tuple[Number, Number] = 0
    unit: Literal["rows", "percent"] = "rows"

    def accepts(self, value: Number, rows: int) -> bool:
        """Return whether a value measured over `rows` rows passes; percent is of the rows, 0 of none."""
        if self.unit == "percent":
            value = 100 * value / rows if rows else 0
        if isinstance(self.operand, tuple):
            inside = self.operand[0] <= value <= self.operand[1]
            return inside if self.operator == "mustBeBetween" else not inside
        verdicts = {
            "mustBe": value == self.operand,
            "mustNotBe": value != self.operand,
            "mustBeGreaterThan": value > self.operand,
            "mustBeGreaterOrEqualTo": value >= self.operand,
            "mustBeLessThan": value < self.operand,
            "mustBeLessOrEqualTo": value <= self.operand,
        }
        return verdicts[self.operator]

    def __str__(self) -> str:
        unit = " percent" if self.unit == "percent" else ""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.operator).lower()
        operand = " and ".join(map(str, self.operand)) if isinstance(self.operand, tuple) else self.operand
        return f"{words} {operand}{unit}"


#: What rules of rows and keys ask for, unless their author grants some.
NONE_ALLOWED = Threshold()
