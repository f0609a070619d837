"""Nouns: frozen records with units in their names."""
