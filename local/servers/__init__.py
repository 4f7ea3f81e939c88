"""The four servers of Kandle: configuration, start and probes."""
