"""Runtime of every process: settings, metrics, memory, tasks, errors over HTTP, dead letters.

Imports `wire`, for the names of events.
"""
