"""Messages of venues, as each sends them."""
