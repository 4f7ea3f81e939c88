"""The client, and its rows page by page."""
