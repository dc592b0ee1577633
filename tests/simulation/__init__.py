"""Whole histories of the gateway under a virtual clock: one seed, one history. See ``docs/simulation.md``."""
