# Written by `python -m tests.unasync` from `kandle/_async`.
"""The asyncio client and its paged rows."""
