"""The store: SQL written once (``statements.py`` writes, ``reads.py`` reads), engines apart (``sqlite.py``)."""
