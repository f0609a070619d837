"""Doors to the files users keep beside the ledger: evidence.csv and the decision log."""
