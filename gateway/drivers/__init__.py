"""Layer 2: what touches the world: network, disk, environment, the clock. Decisions belong to ``core``."""
