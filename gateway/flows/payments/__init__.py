"""One payment on its way: created, changed, submitted to its provider, looked up, read, reviewed."""
