"""Webhooks of four processes on one PostgreSQL: a slow endpoint, a process that is killed, a long queue."""
