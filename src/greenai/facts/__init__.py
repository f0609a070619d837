"""Packaged facts, each dated and cited (see README.md in this folder)."""
