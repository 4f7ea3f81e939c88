"""Connections of commands, with errors that say what to do."""
