"""Whole stores, read table by table: copied into another store, and compared with one."""
