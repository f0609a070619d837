"""Reads of a service that counts: one at a time, a least time apart, across processes, and never longer than a read may take."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenai.adapters.http import NetworkDoor
from greenai.adapters.turns import MOST_TURNS, Turns
from greenai.errors import ProviderUnavailable
from greenai.model.intensity import Request

HOST = "grid.example:8080"


@pytest.fixture(params=["alone", "shared"])
def turns(request: pytest.FixtureRequest, tmp_path: Path) -> Turns:
    return Turns(tmp_path / "turns" if request.param == "shared" else None)


def test_reads_of_one_host_keep_their_distance(turns: Turns) -> None:
    def leave(_number: int) -> float:
        turns.wait(HOST, 0.1, 60.0)
        return time.monotonic()

    # Counted from before the first: it may be late to say when it went.
    began_s = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        times_s = sorted(pool.map(leave, range(4)))
    assert times_s[-1] - began_s >= 0.3


def test_other_hosts_do_not_wait(turns: Turns) -> None:
    began_s = time.monotonic()
    for host in ("a.example", "b.example", "../../c"):
        turns.wait(host, 60.0, 1.0)
    assert time.monotonic() - began_s < 5


def test_a_turn_too_far_off_is_said_at_once_and_books_nothing(turns: Turns) -> None:
    began_s = time.monotonic()
    turns.wait(HOST, 30.0, 1.0)
    turns._free_s[HOST] = time.monotonic() + 61.0
    if turns._directory is not None:
        (turns._directory / "grid.example_8080").write_text(repr(time.monotonic() + 61.0))
    for _ in range(3):
        with pytest.raises(ProviderUnavailable, match="wait for their turn"):
            turns.wait(HOST, 30.0, 1.0)
    assert time.monotonic() - began_s < 5


def test_processes_take_turns(tmp_path: Path) -> None:
    """Four processes at once: the last goes out three distances after the first began, by the clock they share."""
    code = (
        "import sys, time; from pathlib import Path; from greenai.adapters.turns import Turns; began_s = time.monotonic();"
        "Turns(Path(sys.argv[1])).wait('grid.example', 0.3, 60.0); print(began_s, time.monotonic())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "turns")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    began_s, went_s = zip(*(map(float, process.communicate(timeout=120)[0].split()) for process in running), strict=True)
    assert max(went_s) - min(began_s) >= 0.9, sorted(went_s)


@pytest.mark.parametrize("text", ["", "no number", "nan", "inf", repr(1e12)])
def test_a_file_that_says_nonsense_is_begun_anew(tmp_path: Path, text: str) -> None:
    """What is left of an earlier boot lies further ahead than any queue."""
    (tmp_path / "grid.example").write_text(text)
    began_s = time.monotonic()
    Turns(tmp_path).wait("grid.example", 0.05, 1.0)
    assert time.monotonic() - began_s < 5
    left_s = float((tmp_path / "grid.example").read_text()) - began_s
    assert 0 < left_s < MOST_TURNS * 0.05


@pytest.mark.parametrize("blocked", ["directory", "file"])
def test_where_no_file_can_be_kept_the_process_waits_by_itself(tmp_path: Path, blocked: str) -> None:
    directory = tmp_path / "turns"
    if blocked == "directory":
        directory.write_text("in the way")
    else:
        (directory / "grid.example").mkdir(parents=True)
    turns = Turns(directory)
    began_s = time.monotonic()
    for _ in range(2):
        turns.wait("grid.example", 0.2, 10.0)
    assert time.monotonic() - began_s >= 0.19


def test_the_network_door_waits_for_the_reads_that_are_counted_alone() -> None:
    waited: list[tuple[str, float, float]] = []

    def wait(*turn: object) -> None:
        waited.append(turn)  # type: ignore[arg-type]  # the three of WaitTurn
        raise ProviderUnavailable("not yet")

    door = NetworkDoor(now=lambda: datetime(2026, 11, 24, tzinfo=UTC), bound_s=0.5, wait_turn=wait)
    with pytest.raises(ProviderUnavailable, match="not yet"):
        door.fetch(Request(url=f"http://{HOST}/co2eq", spacing_s=10.0))
    with pytest.raises(ProviderUnavailable, match=r"cannot be reached|does not answer|gave no whole answer"):
        door.fetch(Request(url="http://127.0.0.1:9/"))
    assert waited == [(HOST, 10.0, 0.5)]
