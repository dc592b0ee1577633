"""A plugin in a real gateway against its simulator: every exchange may be spoiled, and the ledgers must agree."""
