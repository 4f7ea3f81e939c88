# Written by `python -m tests.unasync` from `kandle/_async`.
