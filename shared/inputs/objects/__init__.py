"""JSON objects under any field names of senders, and FIX messages."""
