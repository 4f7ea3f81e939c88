"""HTTP: parameters, cursors, forms of an answer, caching, and the description in OpenAPI."""
