"""A step: the ticks of all waiting events into the shards that are held, in two round trips."""
