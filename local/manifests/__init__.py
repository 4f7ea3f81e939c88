"""Manifests that are made from others, so that no number is written twice."""
