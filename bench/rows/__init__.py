"""The rows of the table, one module per group: ``rows(effort)`` measures, checks, and yields them."""
