"""The lake's tables, their rows and files."""
