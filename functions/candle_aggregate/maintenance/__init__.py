"""What the clock does: blocks leave the state and come back, and are held against Postgres."""
