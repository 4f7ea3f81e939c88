"""Fuzzing: no crash, no 5xx for a client's error, bounded time and memory.

`KANDLE_FUZZ=50 pytest tests/fuzz` tries fifty times as many examples as the tests do by default.
"""
