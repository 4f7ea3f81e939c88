"""Inputs of public bug reports: the folders of ../shared/cases about input."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from shared.wire.raw_batch import FORMAT_CSV, FORMAT_SCANNER
from tests.shared.inputs.feeds import parsed, trades

CASES = Path(__file__).parents[4] / "shared" / "cases"


def case(name: str) -> bytes:
    path = CASES / name
    if not path.is_file():
        pytest.skip("no cases: ../shared/cases is not there")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("03-text-trade-ids/input.csv", 10),
        ("04-bom/no_header.csv", 2),
        ("04-bom/header.csv", 1),
        ("04-bom/header_other_order.csv", 1),
        ("04-bom/quoted_spaced.csv", 2),
        ("05-negative-prices/input.csv", 4),
        ("07-replay-confirms-rejects/microseconds.csv", 10),
        ("08-symbol-letters/input.csv", 6),
        ("14-replayed-twice/input.csv", 3),
        ("16-lake-of-numeric-symbols/input.csv", 2),
        ("17-eighteen-decimals/input.csv", 3),
    ],
)
def test_every_line_of_a_case_is_a_tick(name: str, ticks: int) -> None:
    """Every line of a case becomes a tick, and none a reject."""
    found = parsed(FORMAT_CSV, case(name))
    assert (len(found.rows), found.rejected) == (ticks, [])


def test_cases_give_the_expected_values() -> None:
    """Negative and zero prices, microseconds, 18 decimals, quotes and blanks are read exactly."""
    prices = [t.price for t in trades(parsed(FORMAT_CSV, case("05-negative-prices/input.csv")))]
    assert prices == [Decimal("-37.63"), Decimal(-5), Decimal(0), Decimal("1.1")]
    first, *_ = trades(parsed(FORMAT_CSV, case("07-replay-confirms-rejects/microseconds.csv")))
    assert (first.instrument, first.time_us) == ("XBTUSD", 1_583_020_803_145_000)
    wide = trades(parsed(FORMAT_CSV, case("17-eighteen-decimals/input.csv")))
    assert [t.price for t in wide] == [
        Decimal("0.00000259156993297133"),
        Decimal("9.999999999999999999"),
        Decimal("1.000000000000000001"),
    ]
    quoted = trades(parsed(FORMAT_CSV, case("04-bom/quoted_spaced.csv")))
    assert sorted(t.instrument for t in quoted) == ["QUOTED", "SPACED"]
    assert {t[1:6] for t in quoted} == {
        (Decimal("61845.68"), Decimal(1), 1_735_689_600_000_000, 1, 1)
    }


def test_json_with_nulls_and_text_ids() -> None:
    """JSON with nulls and text ids is read, and `amount` of ccxt's unified trade is the size."""
    found = parsed(FORMAT_SCANNER, *case("09-json-nulls-and-text-ids/input.ndjson").splitlines())
    assert (len(found.rows), found.rejected) == (6, [])
    sizes = {t.instrument: t.size for t in trades(found)}
    assert sizes["BTC/USDT"] == sizes["J-AMOUNT"] == Decimal("0.00116")


def test_the_packed_body_is_a_thousand_ticks() -> None:
    """The compressed body gives a thousand ticks when decompressed as `POST /ingest` does."""
    body = gzip.decompress(case("06-gzip-body/body.csv.gz"))
    assert len(parsed(FORMAT_CSV, body).rows) == 1000
