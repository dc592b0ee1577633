"""The security guarantees of ``docs/reliability.md``, each tested with many examples."""
