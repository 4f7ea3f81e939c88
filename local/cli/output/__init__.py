"""Output of commands: tables, charts, the live view and notices."""
