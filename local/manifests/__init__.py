"""Generated manifests: derived from others, so that every value has one source."""
