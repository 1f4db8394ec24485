"""Reads an ODCS file into a `Contract`: the standard's JSON schema first, then its model, then ours.

Every finding carries file, line and path; all findings of a file are reported together.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, Team

from orderlake.contracts import jsonschema
from orderlake.contracts.document import Location, read_document
from orderlake.contracts.lint import lint
from orderlake.contracts.model import Contract, Kind, Sla, TopicOptions
from orderlake.contracts.odcs_columns import read_columns
from orderlake.contracts.odcs_custom import read_custom
from orderlake.contracts.odcs_rules import read_rules
from orderlake.contracts.problems import Findings, Problem, raise_errors

_ROOT: Location = ("schema", 0)


def _contract(odcs: OpenDataContractStandard, schema: SchemaObject, kind: Kind, findings: Findings) -> Contract:
    custom = read_custom(schema.customProperties, _ROOT, kind, findings)
    partitioned = [prop.name for prop in schema.properties or [] if prop.partitioned]
    if len(partitioned) > 1:
        findings.error((*_ROOT, "properties"), f"are partitioned by {partitioned}; one column is supported")
    prose = odcs.description
    texts = (schema.description, *((prose.purpose, prose.usage, prose.limitations) if prose else ()))
    return Contract(
        id=odcs.id or "",
        title=odcs.name or schema.businessName or schema.name or "",
        version=odcs.version or "",
        status=odcs.status or "draft",
        kind=kind,
        physical_name=schema.physicalName or schema.name or "",
        schema_name=schema.name or "",
        description=" ".join(" ".join(text.split()) for text in texts if text),
        grain=schema.dataGranularityDescription or "",
        owner=(odcs.team.name or "") if isinstance(odcs.team, Team) else "",
        domain=odcs.domain or "",
        columns=read_columns(schema.properties, (*_ROOT, "properties"), findings),
        partition_column=partitioned[0] if partitioned else None,
        partition_transform=custom.get("partitionTransform", "day"),
        quality=read_rules(schema, _ROOT, findings),
        slas=tuple(
            Sla(sla.property or "", sla.value, sla.unit, sla.element, sla.description or "")
            for sla in odcs.slaProperties or []
        ),
        tags=tuple(odcs.tags or ()),
        topic=TopicOptions(
            dialect=custom.get("dialect", "flat"),
            message_key=custom.get("messageKey"),
            payload=custom.get("payload", "keep"),
            partitions=custom.get("topicPartitions", 4),
            config=tuple(sorted((key, str(value)) for key, value in custom.get("topicConfig", {}).items())),
        ),
        path=findings.document.path,
        line=findings.document.line(_ROOT),
    )


def _kind(schema: SchemaObject, expected: Kind | None, findings: Findings) -> Kind | None:
    """Return what a contract says it describes; what is expected has to agree, and decides where it says nothing."""
    kinds = {kind: kind for kind in get_args(Kind)}
    stated = kinds.get(schema.physicalType or "")
    where: Location = (*_ROOT, "physicalType")
    if schema.physicalType is not None and stated is None:
        findings.error(where, f"is {schema.physicalType!r}; allowed: {', '.join(kinds)}")
    elif stated is None and expected is None:
        findings.error(where, f"is not given, and the folder does not tell either; allowed: {', '.join(kinds)}")
    elif stated and expected and stated != expected:
        findings.error(where, f"is {stated!r}, but the file's folder (or --kind) says {expected!r}; make the two agree")
    return stated or expected


def examine(path: Path, expected: Kind | None = None) -> tuple[Contract | None, list[Problem]]:
    """Read a contract and judge it, without raising on its problems.

    Args:
        path: the file.
        expected: what it has to describe by where it was found; None if its place does not tell.

    Returns:
        the contract, or None where it could not be built; and every problem, by line.

    Raises:
        ContractError: the file cannot be read or is not YAML.
    """
    findings = Findings(read_document(path))
    jsonschema.validate(findings.document, findings)
    if findings.problems:
        return None, sorted(findings.problems)
    odcs = OpenDataContractStandard.model_validate(findings.document.data)
    schemas = odcs.schema_ or []
    if len(schemas) != 1:
        what = expected or "topic or table"
        findings.error(("schema",), f"has {len(schemas)} objects; a contract describes exactly one {what}")
        return None, findings.problems
    kind = _kind(schemas[0], expected, findings)
    if kind is None:
        return None, sorted(findings.problems)
    contract = _contract(odcs, schemas[0], kind, findings)
    if not findings.problems:
        lint(contract, findings)
    return contract, sorted(findings.problems)


def load_contract(path: Path, kind: Kind) -> Contract:
    """Read a contract that must be usable.

    Raises:
        ContractError: with every problem's file, line and path.
    """
    contract, problems = examine(path, kind)
    raise_errors(problems)
    assert contract is not None, "a contract without problems was not built"  # noqa: S101
    return contract
