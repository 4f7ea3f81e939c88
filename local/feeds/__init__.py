"""Sources of ticks (recorded files, a simulator), and their senders."""
