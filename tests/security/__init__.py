"""The promises of ``docs/reliability.md`` about strangers and neighbours, each tried with many examples of its kind."""
