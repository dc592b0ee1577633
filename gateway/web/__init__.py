"""Layer 4: the HTTP server. Translate, call one flow, answer; nothing is decided here."""
