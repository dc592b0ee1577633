"""Copies of a large store between the engines, as users make them, with figures."""
