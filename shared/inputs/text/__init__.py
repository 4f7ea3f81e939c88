"""Lines of text: CSV in every accepted form, and TickerUpdates."""
