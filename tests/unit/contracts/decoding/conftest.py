"""A contract with every kind of field that the dialect flat knows, and its decoder."""

from __future__ import annotations

import datetime as dt
import textwrap
from pathlib import Path

import pytest

from orderlake.contracts.decoding import compile_decoder
from orderlake.contracts.decoding.flat import FlatDecoder
from orderlake.contracts.model import Contract
from orderlake.contracts.odcs import load_contract
from orderlake.settings import builtin_root

PARTITIONS_START = dt.date(2010, 1, 1)

EVERYTHING = """\
apiVersion: v3.2.0
kind: DataContract
id: urn:test:everything
version: 1.0.0
status: active
team: {name: testers}
schema:
  - name: everything
    physicalName: everything.v1
    physicalType: topic
    properties:
      - {name: id, description: d, logicalType: string, required: true, logicalTypeOptions: {format: uuid}}
      - {name: at, description: d, logicalType: timestamp, required: true, partitioned: true}
      - {name: local, description: d, logicalType: timestamp, logicalTypeOptions: {timezone: false}}
      - {name: day, description: d, logicalType: date}
      - {name: code, description: d, logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 4, pattern: "^[a-z]"}}
      - {name: choice, description: d, logicalType: string, enum: [{value: A}, {value: B}]}
      - {name: level, description: d, logicalType: integer, enum: [{value: 1}, {value: 2}]}
      - {name: count, description: d, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0, maximum: 100, multipleOf: 5}}
      - {name: big, description: d, logicalType: integer, physicalType: long}
      - {name: small, description: d, logicalType: integer, logicalTypeOptions: {minimum: -99999999999}}
      - {name: ratio, description: d, logicalType: number, physicalType: double, logicalTypeOptions: {exclusiveMinimum: 0, maximum: 1}}
      - {name: flag, description: d, logicalType: boolean}
      - name: price
        description: d
        logicalType: number
        physicalType: decimal(6,2)
        required: true
        logicalTypeOptions: {minimum: 0.5, exclusiveMaximum: 1000}
      - name: weight
        description: d
        logicalType: number
        physicalType: decimal(30,3)
        logicalTypeOptions: {minimum: -1}
        customProperties: [{property: wire, value: number, vendor: orderlake}]
      - {name: "class", description: a name Python reserves, logicalType: string}
"""


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("contract") / "everything.yaml"
    path.write_text(textwrap.dedent(EVERYTHING))
    return load_contract(path, "topic")


@pytest.fixture(scope="session")
def orders() -> Contract:
    return load_contract(builtin_root() / "contracts" / "topics" / "orders.created.v1.yaml", "topic")


def decoder_of(contract: Contract) -> FlatDecoder:
    decoder = compile_decoder(contract, PARTITIONS_START)
    assert isinstance(decoder, FlatDecoder)
    return decoder


def corpus(name: str) -> Path:
    return Path(__file__).parent / name
