"""Files of history are imported into storage and candles, each trade once however often sent."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.client import candles, eventually, fresh_symbol
from tests.platform import kandle

START_MS = 1_660_000_020_000
ROWS = 5_000


def test_a_file_that_is_imported_replayed_and_imported_again_counts_once(
    pipeline: dict[str, str], tmp_path: Path
) -> None:
    """A file without trade ids counts once, imported, replayed and imported again."""
    symbol = fresh_symbol("IMPORT")
    file = tmp_path / "history.csv"
    rows = (f"{symbol},{100 + n % 10}.5,2,{START_MS + 20 * n}\n" for n in range(ROWS))
    file.write_text("time,price,symbol,size\n" + "".join(_reordered(row) for row in rows))
    where = ("--data-dir", pipeline["DATA_DIR"])
    said = kandle("import", str(file), *where).stdout
    assert f"imported {ROWS:,} ticks in 1 batches, 0 rejects" in said
    assert f"{ROWS:,} lines had been imported before" in kandle("import", str(file), *where).stdout
    kandle("replay", str(file), "--to", "http", *where)
    kandle("import", str(file), "--restart", *where)

    def traded() -> list[tuple[int, str]]:
        return [(c["n"], c["v"]) for c in candles(pipeline["API_URL"], symbol, "1d")]

    assert eventually(traded, lambda found: found == [(ROWS, str(2 * ROWS))], 60)
    broker = Path(pipeline["DATA_DIR"], "logs", "broker.log").read_text()
    assert "/kandle/import" not in broker  # repetitions are recognized, not lost
    again = json.loads(kandle("import", str(file), "--again", "--json", *where).stdout)
    assert (again["accepted"], again["rejected"]) == (ROWS, 0)
    assert eventually(traded, lambda found: found == [(2 * ROWS, str(4 * ROWS))], 60)


def _reordered(row: str) -> str:
    symbol, price, size, time = row.strip().split(",")
    return f"{time},{price},{symbol},{size}\n"
