"""A step applies the ticks of all queued events to the leased shards, in two round trips."""
