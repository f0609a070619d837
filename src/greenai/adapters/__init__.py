"""Doors: the only places where the world enters, one file per outside thing."""
