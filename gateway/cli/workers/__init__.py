"""Several processes of one gateway: ``gateway serve --workers N``."""
