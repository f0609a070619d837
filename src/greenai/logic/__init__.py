"""Verbs: pure functions of nouns; no I/O and no clock."""
