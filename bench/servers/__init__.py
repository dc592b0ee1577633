"""The yardsticks and the fake provider, each a process of its own."""
