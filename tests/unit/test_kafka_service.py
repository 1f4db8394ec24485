"""What of the native broker can be told without starting it."""

from __future__ import annotations

import uuid

import pytest

from infra.native import kafka


def test_a_cluster_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """One random id in 64 begins with "-"; Kafka's own tools refuse it as an argument."""
    dashed, plain = uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=b"\x07" + bytes(15))
    supply = iter([dashed, dashed, plain])
    monkeypatch.setattr(kafka.uuid, "uuid4", lambda: next(supply))
    assert kafka.new_cluster_id() == "BwAAAAAAAAAAAAAAAAAAAA"
