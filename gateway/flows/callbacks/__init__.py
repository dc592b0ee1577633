"""What providers send: received, matched to its payment, stored, and processed again when asked."""
