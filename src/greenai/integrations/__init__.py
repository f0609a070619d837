"""Pausing and resuming inside the training frameworks: one file each, which imports its framework only when used.

What resumes bit for bit, what only equivalently, and what is refused: docs/how-to/pause-and-resume.md.
"""
