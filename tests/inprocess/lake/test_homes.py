"""A lake works in every folder that the file system allows: what is landed is found again, and nothing lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orderlake.contracts.model import Contract
from orderlake.curation.build import build
from orderlake.curation.models import Model
from orderlake.curation.window import Window
from orderlake.errors import CatalogError, SettingsError
from orderlake.lake.catalog import Lake
from orderlake.lake.duck import DuckSession
from orderlake.lake.partitions import rows_by_day
from orderlake.lake.query import run
from orderlake.locations import local_path
from orderlake.settings import Settings, load_settings
from tests.inprocess.conftest import DAY, RawOrders, order

HOMES = [
    "plain", "sp ace", "per%41cent", "100%", "it's", "ha#sh", "br[ack]et", "üñï", "qu?est", "com,ma", "co:lon", "a+b",
    "se;mi", 'dou"ble', "back\\slash", "st*ar", "{br}ace",
]  # fmt: skip


@pytest.mark.parametrize("name", HOMES)
def test_land_build_and_query(tmp_path: Path, contract: Contract, models: dict[str, Model], name: str) -> None:
    settings = Settings(home=tmp_path / "lakes" / name)
    lake = Lake.open(settings)
    raw = RawOrders(lake, contract)
    raw.land([order(n) for n in range(1, 4)])
    raw.land([order(4)])
    assert build(lake, models["analytics.orders"], Window(DAY, DAY), "run").published == [DAY]

    reopened = Lake.open(settings)
    assert reopened.load("analytics.orders").scan().to_arrow().num_rows == 4, "PyIceberg"
    landed = reopened.load("raw.orders_created_v1")
    assert rows_by_day(landed, landed.current_snapshot()) == {DAY: 4}, "manifests"
    with DuckSession() as session:
        _, rows = run(session, reopened, "select count(*), count(distinct order_id) from analytics.orders")
        assert rows == [(4, 4)], "DuckDB by a pin"
        session.attach_files("files", [file["file_path"] for file in landed.inspect.files().to_pylist()])
        assert session.execute("select count(*) from files").fetchone() == (4,), "DuckDB by file"
    assert [path.name for path in (tmp_path / "lakes").iterdir()] == [name], "nothing lies beside the lake"
    assert list((settings.home / "warehouse").rglob("*.parquet"))


def test_the_location_of_a_plain_folder_is_the_one_it_always_was(tmp_path: Path) -> None:
    assert Settings(home=Path("/data/lake-1_x.y")).warehouse == "file:///data/lake-1_x.y/warehouse"


@pytest.mark.parametrize("name", ["line\nbreak", "tab\tbed", b"latin-\xfc".decode(errors="surrogateescape")])
def test_a_name_that_configuration_files_cannot_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ORDERLAKE_HOME", str(tmp_path / name))
    with pytest.raises(SettingsError, match="the name of a folder must"):
        load_settings()


def test_a_lake_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "lake"):
        with pytest.raises(SettingsError, match="set ORDERLAKE_HOME to another folder"):
            Lake.open(Settings(home=home))


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "not text", "warehouse gone"])
def test_a_table_whose_metadata_cannot_be_read_is_named_with_the_file(
    raw: RawOrders, lake: Lake, settings: Settings, damage: str
) -> None:
    raw.land([order(1)])
    path = Path(local_path(raw.table.metadata_location))
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:300])
        case "empty":
            path.write_bytes(b"")
        case "not text":
            path.write_bytes(b"\xff\xfe\x00")
        case "warehouse gone":
            (settings.home / "warehouse").rename(settings.home / "away")
    for look in (lake.load, lake.find):
        with pytest.raises(CatalogError) as caught:
            look("raw.orders_created_v1")
        assert "raw.orders_created_v1" in caught.value.fact
        assert str(path) in caught.value.fact
        assert caught.value.remedy
    assert lake.find("raw.nowhere") is None


def test_a_table_without_its_manifests_is_named(raw: RawOrders, lake: Lake) -> None:
    raw.land([order(1)])
    for path in Path(local_path(raw.table.location())).rglob("*.avro"):
        path.unlink()
    table = lake.load("raw.orders_created_v1")
    with pytest.raises(CatalogError, match=r"the table raw\.orders_created_v1 cannot be read.*avro"):
        rows_by_day(table, table.current_snapshot())
    with (
        DuckSession() as session,
        pytest.raises(CatalogError, match=r"the table raw\.orders_created_v1 cannot be read"),
    ):
        run(session, lake, "from raw.orders_created_v1")
