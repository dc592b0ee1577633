"""The chapters of ``gateway demo``: each module is one, told by its functions from top to bottom."""
