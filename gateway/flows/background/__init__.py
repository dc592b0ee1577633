"""What runs beside the requests: start-up, schedule checks, retries of callbacks, retention."""
