"""Layer 3: what happens, read top to bottom: load, decide, store the intent, send, store the result."""
