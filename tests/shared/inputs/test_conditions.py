"""Sale conditions become flags by table; official prices are not trades."""

from __future__ import annotations

import pytest

from shared.inputs.conditions import read_conditions
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_SCANNER
from shared.wire.ticks import AUCTION, ODD_LOT, OUT_OF_SEQUENCE, VOLUME_ONLY
from tests.shared.inputs.feeds import parsed, trades


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("@", 0),
        ("@F I", VOLUME_ONLY | ODD_LOT),
        ("@ T", VOLUME_ONLY),
        ("O", AUCTION),
        ("6X", AUCTION),
        ("Z", VOLUME_ONLY | OUT_OF_SEQUENCE),
        ("L", OUT_OF_SEQUENCE),
        ("B", VOLUME_ONLY),
        ("utp:B", 0),
        ("cta:B", VOLUME_ONLY),
        ('["@", "I"]', VOLUME_ONLY | ODD_LOT),
        ("[14, 37]", VOLUME_ONLY | ODD_LOT),
        ("['14', '37']", VOLUME_ONLY | ODD_LOT),
        ("12|41", VOLUME_ONLY),
        ("12,37", VOLUME_ONLY | ODD_LOT),
        ("@; I", VOLUME_ONLY | ODD_LOT),
        ("37.0", VOLUME_ONLY | ODD_LOT),
        ("4", VOLUME_ONLY),  # of a tape: derivatively priced
        ("[4]", 0),  # of Polygon: a bunched trade
        ("[9, 3, 0]", 0),
        ("polygon:9", 0),
        ("polygon:5,37.0", VOLUME_ONLY | ODD_LOT | OUT_OF_SEQUENCE),
        ('polygon:["8", "12"]', AUCTION | VOLUME_ONLY),
        ("{12,37}", VOLUME_ONLY | ODD_LOT),
        ("(12, 37)", VOLUME_ONLY | ODD_LOT),
        ("[12, null]", VOLUME_ONLY),
        ("['@', None, 'I']", VOLUME_ONLY | ODD_LOT),
        ("C4TI", VOLUME_ONLY | ODD_LOT),
        ("nan", 0),
        ("None", 0),
        ("odd_lot+AUCTION", ODD_LOT | AUCTION),
        ("volume_only", VOLUME_ONLY),
        ("lean:0", 0),
        ("lean:20", VOLUME_ONLY),
        ("lean:2020", 0),
        ("lean:80000200", VOLUME_ONLY | ODD_LOT),
        ("lean:40", AUCTION),
    ],
)
def test_conditions_are_flags_by_table(text: str, flags: int) -> None:
    """Letters of the tapes, numbers, Lean's bits and flag names become the flags of the table."""
    assert read_conditions(text) == (flags, True, ())


@pytest.mark.parametrize("text", ["M", "@Q", "9", "[15]", "[12, 16]", "polygon:38"])
def test_an_official_price_is_no_trade(text: str) -> None:
    """An official price has no volume and makes no tick."""
    assert not read_conditions(text).is_trade


@pytest.mark.parametrize(
    "text",
    [
        *("J", "[99]", "lean:x", "nyse:T", "[1.5]", "?", "Odd Lot", "REGULAR"),
        *("OPEN", "LATE", "REG", "AUTO", "IT", "i", "@ti"),
    ],
)
def test_an_unknown_condition_is_reported(text: str) -> None:
    """An unknown condition is reported by name, and its trade is a tick."""
    flags, is_trade, unknown = read_conditions(text)
    assert (flags, is_trade, len(unknown) > 0) == (0, True, True)


def test_one_digit_of_polygon_is_no_letter_of_a_tape() -> None:
    """A trade of Polygon with condition 9, a cross trade, counts: the tapes' 9 is not a trade."""
    header = b"ticker,conditions,id,price,sip_timestamp,size\n"
    found = parsed(FORMAT_CSV, header + b'A,9,1,1.5,1735827600038856001,2\nA,"9,5",2,1.5,,2')
    stream = b'{"ev":"T","sym":"A","i":"%s","p":1.5,"s":2,"c":[%s],"t":1735827600038}'
    streamed = parsed(FORMAT_SCANNER, stream % (b"1", b"9"), stream % (b"2", b"9,5"))
    for each in (found, streamed):
        assert each.rows.flags is not None
        assert each.rows.flags.tolist() == [0, VOLUME_ONLY | OUT_OF_SEQUENCE]
        assert not each.unread.keys() & {"condition 9", "condition 5"}


def test_conditions_in_csv_and_json_are_equal() -> None:
    """A condition in the seventh CSV field and in a JSON field has the same effect.

    Rows with and without conditions stand side by side, and official prices are counted.
    """
    lines = b'A,1,1,,,1\nA,2,1,,,2,@I\nA,3,1,,,3,M\nA,4,1,,,4,J\nA,5,1,,buy,5,"@ T"'
    objects = [
        b'{"s":"A","p":1,"q":1,"id":1}',
        b'{"s":"A","p":2,"q":1,"id":2,"conditions":["@","I"]}',
        b'{"s":"A","p":3,"q":1,"id":3,"c":["M"]}',
        b'{"s":"A","p":4,"q":1,"id":4,"sale_condition":"J"}',
        b'{"s":"A","p":5,"q":1,"id":5,"side":"buy","cond":"@ T"}',
    ]
    for found in (parsed(FORMAT_CSV, lines), parsed(FORMAT_SCANNER, *objects)):
        by_id = {t.trade_id: i for i, t in enumerate(trades(found))}
        assert found.rows.flags is not None
        flags = {id_: int(found.rows.flags[i]) for id_, i in by_id.items()}
        assert flags == {1: 0, 2: VOLUME_ONLY | ODD_LOT, 4: 0, 5: VOLUME_ONLY}
        assert found.skipped == {"official_price": 1}
        assert found.unread == {"condition J": 1}
