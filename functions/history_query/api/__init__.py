"""HTTP: parameters, cursors, response formats, caching, and the OpenAPI schema."""
