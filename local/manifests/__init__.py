"""Generated manifests: derived from others, so that no number is written twice."""
