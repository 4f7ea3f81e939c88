"""The asyncio client and its paged rows."""
