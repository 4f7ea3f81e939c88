"""Starts the parts of the platform in order, keeps them running, stops them without leftovers."""
