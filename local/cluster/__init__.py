"""Diagnosis of a cluster and of Kandle in it, by kubectl."""
