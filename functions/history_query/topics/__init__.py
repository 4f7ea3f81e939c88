"""One module for each topic of the API: `PART` describes its routes, `answers` answers them."""
