"""The topology in YAML: brokers, triggers, sources, functions and bridges."""
