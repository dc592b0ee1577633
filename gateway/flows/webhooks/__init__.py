"""What tenants are sent: dispatched, attempted, redelivered."""
