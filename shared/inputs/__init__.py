"""Parsers of raw batches: a module for each format, pure functions from bytes to rows and rejects.

`formats` is the table of formats. Parsers of `text`, `objects` and `venues` end in rows of
`columns`; `assemble` makes ticks of them, with common scales and the check against the clock;
`outgoing` makes events of those.

Imports `market`, `wire`, `runtime` for settings, and `adapter` for the events.
"""
