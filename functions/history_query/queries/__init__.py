"""Queries to the stores: a module for each kind of answer."""
