from __future__ import annotations

from functions.history_query.queries.indicator_list import entries
from shared.analysis.indicators import parse_indicators


def test_every_listed_name_is_an_indicator() -> None:
    """Each listed name is a valid indicator with its listed columns, once."""
    indicators = entries()
    assert len(indicators) > 100
    assert len({each.name for each in indicators}) == len(indicators)
    for each in indicators:
        (indicator,) = parse_indicators(each.name)
        assert (indicator.name, indicator.columns) == (each.name, each.columns)


def test_the_listed_parameters_make_the_name() -> None:
    """The listed parameters, joined by colons as JSON writes them, request the same indicator."""
    for each in entries():
        joined = ":".join([each.name.partition(":")[0], *map(str, each.parameters.values())])
        assert [indicator.name for indicator in parse_indicators(joined)] == [each.name]


def test_indicators_measured_in_prices_are_overlays() -> None:
    """An average is an overlay; an oscillator has a scale of its own."""
    overlays = {each.name for each in entries() if each.overlay}
    assert {"sma:20", "bb:20:2", "kc:20:10:2", "supertrend:10:3", "vwap"} <= overlays
    assert not overlays & {"rsi:14", "macd:12:26:9", "atr:14", "obv"}
