"""The four servers that Kandle stands on: how each is configured, started and probed."""
