"""Chaos test: processes are killed, paused and cut off while ticks stream in."""
