"""Validation of a contract file against the JSON schema of the Open Data Contract Standard.

The schema is the one the standard's own package carries; it catches what its models let pass silently, above all
a mistyped key inside a property. Accepted: ODCS 3.0 to 3.2.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError, best_match

from orderlake.contracts.document import Document, Location
from orderlake.contracts.odcs_rules import OPERATORS
from orderlake.contracts.problems import Findings

SUPPORTED = ("v3.2.0", "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0")
_UNEXPECTED = re.compile(r"'([^']+)'")
_CLOSED = {"unevaluatedProperties", "additionalProperties"}


@functools.cache
def _validator() -> Any:
    # Not by the package's own json_schema(): that one reads it in a way Python has deprecated.
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _property_names(schema: Any) -> set[str]:
    """Every property name that the standard knows anywhere, to suggest the one that was meant."""
    names: set[str] = set()
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            names.update(properties)
        for value in schema.values():
            names |= _property_names(value)
    elif isinstance(schema, list):
        for value in schema:
            names |= _property_names(value)
    return names


def _leaf(error: ValidationError) -> ValidationError:
    """The most telling error below an `allOf` or `oneOf`."""
    while error.context:
        deeper = best_match(error.context)
        if deeper is None:
            break
        error = deeper
    return error


def validate(document: Document, findings: Findings) -> None:
    """Add to `findings` what the standard's JSON schema refuses in the document."""
    data = document.data
    if not isinstance(data, dict):
        findings.error((), "is not an ODCS contract: a mapping with apiVersion, kind, id and version is expected")
        return
    if data.get("apiVersion") not in SUPPORTED:
        findings.error(
            ("apiVersion",),
            f"apiVersion {data.get('apiVersion')!r} is not supported; allowed: {', '.join(SUPPORTED)}",
        )
        return
    errors = [_leaf(error) for error in _validator().iter_errors(data)]
    precise: list[Location] = [tuple(e.absolute_path) for e in errors if e.validator not in _CLOSED]
    for error in errors:
        location: Location = tuple(error.absolute_path)
        if error.validator not in _CLOSED:
            findings.error(*_described(error, location))
        # One wrong value makes every key around it "unevaluated": report such keys only where nothing below is wrong.
        elif not any(path[: len(location)] == location for path in precise):
            _report_unexpected(error, location, findings)


def _described(error: ValidationError, location: Location) -> tuple[Location, str]:
    """Return where an error is and what it says; the validator would print whole objects, of Python at that."""
    value = error.instance
    if not isinstance(value, dict | list):
        return location, error.message
    thresholds = [name for name in OPERATORS if isinstance(value, dict) and name in value]
    if error.validator == "oneOf" and len(thresholds) > 1:
        return (
            *location,
            thresholds[1],
        ), f"a rule has one threshold, this one has {' and '.join(thresholds)}; keep one"
    if error.validator == "oneOf" and not error.context:
        return location, "fits more than one of the forms that the standard allows here; keep to one of them"
    return location, error.message.replace(repr(value), "what is given")


def _report_unexpected(error: ValidationError, location: Location, findings: Findings) -> None:
    known = _property_names(_validator().schema)
    present = error.instance if isinstance(error.instance, dict) else {}
    unexpected = [name for name in _UNEXPECTED.findall(error.message) if name in present]
    unknown = [name for name in unexpected if name not in known] or unexpected
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close and close[0] != name else ""
        findings.error((*location, name), f"{name!r} is not a key the standard knows here{hint}")
