"""What a settings model declares, in words: the variable, default, description and allowed values of each setting.

Read off the models themselves, so that a message, `.env.example` and the environment of a child process cannot
disagree with what is validated.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

#: Separates the group from the field in the name of a variable.
NESTED = "__"

#: What a value is, by the format or type of its JSON schema.
_KINDS = {"boolean": "true or false", "date": "a date such as 2026-01-31", "path": "a folder"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting.

    Attributes:
        variable: the environment variable.
        path: names of the fields that lead to it.
        default: what it is when nothing sets it.
        description: one sentence.
        allowed: the values it takes.
    """

    variable: str
    path: tuple[str, ...]
    default: object
    description: str
    allowed: str


def declarations(model: type[BaseModel], prefix: str, path: tuple[str, ...] = ()) -> dict[str, Declaration]:
    """Return the settings of a model and of its groups by environment variable."""
    schema = model.model_json_schema()["properties"]
    found: dict[str, Declaration] = {}
    for name, field in model.model_fields.items():
        variable, annotation = f"{prefix}{name.upper()}", field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= declarations(annotation, f"{variable}{NESTED}", (*path, name))
        else:
            found[variable] = Declaration(
                variable, (*path, name), field.default, field.description or "", in_words(schema[name])
            )
    return found


def in_words(schema: dict[str, Any]) -> str:
    """Return the values that a JSON schema allows; its keyword `allowed`, if it has one, says it better."""
    if "anyOf" in schema and "allowed" not in schema:
        return " or ".join(in_words(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if schema.get("type") in {"integer", "number"}:
        return _range(schema)
    values = schema.get("enum") or [schema[key] for key in ("allowed", "const") if key in schema]
    return ", ".join(map(str, values)) or _KINDS.get(str(schema.get("format", schema.get("type"))), "text")


def _range(schema: dict[str, Any]) -> str:
    low, above, high = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f"{low} to {high}"
    least = f"{low} or more" if low is not None else f"more than {above}" if above is not None else ""
    most = f"at most {high}" if high is not None else ""
    return ", ".join(filter(None, (least, most))) or "a number"


def as_environment(settings: BaseModel, prefix: str) -> dict[str, str]:
    """Return settings as the variables that make another process have the same ones; secrets are in clear."""
    found = {}
    for declaration in declarations(type(settings), prefix).values():
        value: Any = settings
        for name in declaration.path:
            value = getattr(value, name)
        if value is not None and value != ():
            found[declaration.variable] = _text(value)
    return found


def _text(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return os.pathsep.join(map(str, value))
        case bool():
            return str(value).lower()
        case dt.date():
            return value.isoformat()
    return str(value)
