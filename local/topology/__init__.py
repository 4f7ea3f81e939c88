"""The topology as it stands in YAML: brokers, triggers, sources, functions and bridges."""
