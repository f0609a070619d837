"""The SQLite door: the archive of every answer read, and the queue of jobs."""

from greenai.adapters.store.archive import SqliteArchive
from greenai.adapters.store.queue import DurableQueue

__all__ = ["DurableQueue", "SqliteArchive"]
