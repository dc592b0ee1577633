"""A PostgreSQL is restored to an earlier time by its own tools, and a gateway goes on with it."""
