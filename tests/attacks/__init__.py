"""Attacks on a running gateway, each a module that prints its figures and ends with 1 when a promise was broken.

``make attacks`` runs them all; ``python -m tests.attacks.NAME`` one of them. They take longer than a test may, and what
they promise in figures (errors, memory, times against a yardstick of the same run) is not for a test suite.
"""
