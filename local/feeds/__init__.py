"""Feeds: where ticks come from (recorded files, a simulator) and how they are sent."""
