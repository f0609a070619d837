"""How far a run is, by what it has printed so far: only what is new is read, and never much at once."""

from __future__ import annotations

import os
from pathlib import Path

from greenai.model.progress_lines import Seen, read_on, skipped_to

MOST_BYTES = 128 * 1024
"""Read at one look. A reader that is further behind (a new daemon, a log that floods) goes on from so far before the end."""


class OutputProgress:
    """Reads one `output.log` on; whoever keeps it pays a stat for a look at a log that has not grown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._seen = Seen()

    def share(self) -> float | None:
        """0 to 1, None where it cannot be told; a log that cannot be read tells nothing."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return self._seen.share
        try:
            size = os.fstat(descriptor).st_size
            begin = max(self._offset, size - MOST_BYTES)
            if size > begin:
                text = os.pread(descriptor, size - begin, begin).decode("utf-8", "replace")
                self._seen = read_on(self._seen, text) if begin == self._offset else skipped_to(self._seen, text)
        except OSError:
            return self._seen.share
        finally:
            os.close(descriptor)
        self._offset = size
        return self._seen.share
