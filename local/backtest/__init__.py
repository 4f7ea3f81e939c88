"""`kandle backtest` without its options: candles of a file, the report, and its picture.

It uses the detectors of `shared.analysis`, the code that evaluates live candles.
"""
