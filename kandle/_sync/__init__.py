# Written by `python -m tests.unasync` from `kandle/_async`.
"""The client, and its rows page by page."""
