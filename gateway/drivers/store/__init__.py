"""The store: SQL written once (``statements.py`` writes, ``queries.py`` reads), engines apart (``sqlite.py``)."""
