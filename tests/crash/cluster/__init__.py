"""Several gateways on one PostgreSQL: killed and paused under load, and a database that is killed and replaced."""
