"""Contract files are read as people mean them: no country that turns into false, no key lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderlake.contracts.document import read_document
from orderlake.errors import ContractError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(text)
    return path


def test_norway_stays_a_country_and_a_date_stays_text(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "countries: [NO, SE]\nday: 2026-01-31\nstrict: true\nversion: 1.0\n"))
    assert document.data == {"countries": ["NO", "SE"], "day": "2026-01-31", "strict": True, "version": 1.0}


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n"))
    assert document.line(("a",)) == 1
    assert document.line(("b", 1, "d")) == 5
    assert document.line(("b", 1, "unknown", "deeper")) == 4


def test_a_key_given_twice_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"contract\.yaml:3: the key 'a' is given twice"):
        read_document(write(tmp_path, "a: 1\nb: 2\na: 3\n"))


def test_broken_yaml_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"contract\.yaml:3: not YAML"):
        read_document(write(tmp_path, "a: 1\nb: [1, 2\nc: 3"))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        read_document(tmp_path / "nowhere.yaml")


DOUBLING = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]\n", r"contract\.yaml:1: an alias stands inside what it names"),
        ("a: 1\nb: &b {c: [*b]}\n", r"contract\.yaml:2: an alias stands inside what it names"),
        (DOUBLING, "too many values"),
        ("a: " + "[" * 200 + "]" * 200, "100 levels"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "100 levels"),
        ("a: 1\n? [b, c]\n: 2\n", r"contract\.yaml:2: a key is not text"),
        ("a: \x00", "not YAML"),
        ("a: !!int x", "not YAML"),
        ("a: !!python/object:os.system x", "not YAML"),
    ],
    ids=["an alias in itself", "deeper", "doubling", "deep", "very deep", "a list as key", "a control character", "a wrong tag", "an unknown tag"],
)  # fmt: skip
def test_what_no_contract_can_be_is_an_error_not_a_traceback(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        read_document(write(tmp_path, text))


def test_an_alias_is_read_as_what_it_names(tmp_path: Path) -> None:
    assert read_document(write(tmp_path, "a: &a [1]\nb: [*a, *a]\n")).data == {"a": [1], "b": [[1], [1]]}
