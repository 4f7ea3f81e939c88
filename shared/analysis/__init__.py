"""Analysis of candles: indicators, patterns, anomalies, and outcomes of patterns; pure.

`indicators` and `talib_indicators` are the indicators by name; `detectors` find chart patterns and
candlesticks, `anomalies` outliers, in the columns of `candle_series`; each `finding` has a place, a
direction and a confidence; `pattern_scores` holds patterns against what follows any candle.
Functions evaluate live candles with them, and `kandle backtest` the past.

Imports `runtime` for settings.
"""
