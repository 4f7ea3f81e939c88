"""Maintenance by the clock: eviction, rebuild, reconciliation and sample audits."""
