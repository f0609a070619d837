"""The world as tests find it: no settings of the user's, no state of theirs, UTC, and no network but loopback."""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import signal
import socket
import tempfile
import time
from typing import Any

import hypothesis
import pytest
from tests.dealing import dealt, long_group

# A loaded machine must not turn a slow example into a failure; what is timed is timed in bench/.
hypothesis.settings.register_profile("greenai", deadline=None, print_blob=True)
hypothesis.settings.load_profile("greenai")

for _name in [name for name in os.environ if name.startswith("GREENAI_")]:
    del os.environ[_name]
_WORLD = tempfile.mkdtemp(prefix="greenai-tests-")
atexit.register(shutil.rmtree, _WORLD, ignore_errors=True)
for _name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
    os.environ[_name] = f"{_WORLD}/{_name.lower()}"
os.environ["TZ"] = "UTC"
time.tzset()

# What a shell starts in the background ignores Ctrl-C, and so would all that a test starts and interrupts.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_connect = socket.socket.connect


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _connect_to_loopback(self: socket.socket, address: Any) -> None:
    """Connect as before, but never off this machine: a test that needs the internet is wrong."""
    if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
        raise AssertionError(f"a test tried to reach {address[0]}")
    _connect(self, address)


socket.socket.connect = _connect_to_loopback  # type: ignore[method-assign]  # the one guard that every client passes


@pytest.hookimpl(trylast=True)  # after the order was shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first, on as many workers as there are."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = dealt(items, workers, long_group)
