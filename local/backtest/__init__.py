"""Backtest: candles of a file, the report, and its plot.

It uses the detectors of `shared.analysis`, the same code that evaluates live candles.
"""
