"""The SQLite door: `archive` of every answer read, and `queue` of jobs. Each is imported by itself: the queue needs no numpy."""
