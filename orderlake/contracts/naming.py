"""The grammar of names: topics, tables, columns, checks (DESIGN: a table's address never depends on the profile)."""

from __future__ import annotations

import re

from orderlake.errors import ContractError

RAW = "raw"
QUARANTINE = "quarantine"
OPS = "ops"

#: Namespaces whose tables orderlake makes itself: no contract describes one.
RESERVED_NAMESPACES = (RAW, QUARANTINE, OPS)

#: What Kafka accepts as a topic (its own rule; 249 characters leave room for the partition in folder names).
TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
TABLE = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CHECK = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

#: Columns that Iceberg engines add themselves (the spec's reserved field names and Trino's and Spark's hidden
#: columns); a table column of that name hides them or fails.
ICEBERG_METADATA_COLUMNS = frozenset(
    {
        "_file",
        "_pos",
        "_deleted",
        "_spec_id",
        "_partition",
        "_row_id",
        "_last_updated_sequence_number",
        "_change_type",
        "_change_ordinal",
        "_commit_snapshot_id",
        "file_path",
        "pos",
        "row",
        "$path",
        "$file_modified_time",
        "$partition",
    }
)


def table_name(topic: str) -> str:
    """Return the table part of a topic's raw and quarantine tables: dots and dashes become underscores."""
    return re.sub(r"[.-]", "_", topic).lower()


def raw_table(topic: str) -> str:
    """Return the raw table of a topic, e.g. `raw.orders_created_v1`."""
    return f"{RAW}.{table_name(topic)}"


def quarantine_table(topic: str) -> str:
    """Return the quarantine table of a topic, e.g. `quarantine.orders_created_v1`."""
    return f"{QUARANTINE}.{table_name(topic)}"


def split_table(name: str) -> tuple[str, str]:
    """Return (namespace, table) of `namespace.table`.

    Raises:
        ContractError: the name does not follow the grammar.
    """
    match = TABLE.fullmatch(name)
    if not match:
        raise ContractError(
            f"{name!r} is not a table's name.",
            allowed="namespace.table in lower case letters, digits and underscores, e.g. analytics.orders",
        )
    return match[1], match[2]
