"""Code that several functions share, in packages by purpose.

Each room says in its `__init__` what lives there. Which room may import which is a table in
`tests/test_structure.py`, drawn in docs/design.md. Nothing here imports a function or `local`.
`errors` holds the two errors that every room may raise.
"""
