"""Below the requests: the connections of callers, how many there may be, and how the server stops listening."""
