"""Maintenance of the lake: copies, compaction, retention and expiry, in a process of its own."""
