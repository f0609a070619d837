"""Every error of greenai. The root carries a hint: what to do next.

::

    GreenaiError
    ├── InputError (ValueError)              bad argument, file or value        exit 2
    │   ├── ConfigError                      a setting is wrong or unknown      exit 2
    │   ├── UnknownZone (LookupError)        no source covers this zone         exit 2
    │   ├── UnknownJob (LookupError)         the queue has no such job          exit 2
    │   └── SeriesError                      an intensity series is unusable    exit 2
    │       ├── SeriesGap                    a slot is missing
    │       └── MixedSeries                  two bases, scopes or zones in one
    ├── NoFeasibleWindow (ValueError)        the job does not fit               exit 3
    ├── ProviderError                        a grid service                     exit 4
    │   ├── ProviderUnavailable (ConnectionError)   may work later: the only one retried
    │   ├── ProviderRefused (PermissionError)       key, plan, or request not accepted
    │   └── ProviderBadData (ValueError)            answered, but not usably
    ├── StoreError (OSError)                 state cannot be read or written    exit 5
    │   └── EvidenceDamaged                  a record does not verify           exit 5
    └── MeterUnavailable (OSError)           a meter cannot be read: never fatal, the next is taken

`greenai.Paused` is no error: the SystemExit of a program that saved its state and is to be run again (exit 75).
"""

from __future__ import annotations


class GreenaiError(Exception):
    """Something greenai can name went wrong."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.hint = hint


class InputError(GreenaiError, ValueError):
    """An argument, file or value cannot be used."""


class ConfigError(InputError):
    """A setting is wrong or unknown."""


class UnknownZone(InputError, LookupError):
    """No source covers this zone."""


class UnknownJob(InputError, LookupError):
    """The queue has no such job."""


class SeriesError(InputError):
    """An intensity series cannot be used."""


class SeriesGap(SeriesError):
    """The series does not cover the whole interval asked for."""


class MixedSeries(SeriesError):
    """Two series differ in zone, basis, scope or step and cannot be one."""


class NoFeasibleWindow(GreenaiError, ValueError):
    """The job does not fit between its earliest start and its deadline."""


class ProviderError(GreenaiError):
    """A grid service did not give a usable answer."""


class ProviderUnavailable(ProviderError, ConnectionError):
    """The grid service cannot be reached now; a later try may succeed."""

    def __init__(self, message: str | None = None, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ProviderRefused(ProviderError, PermissionError):
    """The grid service does not accept this request or this key; `status` is the HTTP status it said so with, if any."""

    def __init__(self, message: str | None = None, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ProviderBadData(ProviderError, ValueError):
    """The grid service answered with something that is not the documented shape."""


class StoreError(GreenaiError, OSError):
    """The state directory cannot be read or written."""


class EvidenceDamaged(StoreError):
    """A stored record does not verify."""


class MeterUnavailable(GreenaiError, OSError):
    """This meter cannot be read here."""
