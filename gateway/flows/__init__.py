"""Floor 3: one story per file, read top to bottom: load, decide, store the intent, send, store the result."""
