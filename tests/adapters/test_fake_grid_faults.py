"""The fake grid fails on demand: each fault as a plain client meets it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from greenai.errors import InputError
from greenai.testing import FakeGrid
from greenai.testing.grid import FAULT_NAMES, serve

NOW = datetime(2026, 12, 31, 10, 37, tzinfo=UTC)
FW48 = "/intensity/2026-12-31T10:31Z/fw48h"
REGION = "/regional/intensity/2026-12-31T10:31Z/fw48h/regionid/13"
REGIONS = "/regional/intensity/2026-12-31T10:31Z/fw24h"


@pytest.fixture
def grid():
    with FakeGrid(now=NOW) as running:
        yield running


def used_up(grid: FakeGrid) -> None:
    """Until the faults have struck: on a busy machine a request may be read after its sender has given up."""
    give_up_s = time.monotonic() + 60
    while grid.faults:
        assert time.monotonic() < give_up_s, "the fault has not struck within 60 s"
        time.sleep(0.01)


def fetch(grid: FakeGrid, path: str = FW48, timeout: float = 10) -> tuple[int, bytes, Any]:
    """Status, body and headers, errors included."""
    try:
        with urllib.request.urlopen(grid.url + path, timeout=timeout) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def data(grid: FakeGrid, path: str = FW48) -> Any:
    status, body, _ = fetch(grid, path)
    assert status == 200
    return json.loads(body)["data"]


def spoiled(grid: FakeGrid, fault: str, path: str = FW48) -> tuple[Any, Any]:
    """The data with the fault and, after it, without."""
    grid.fail(fault, times=1)
    return data(grid, path), data(grid, path)


def test_nulls(grid):
    bad, good = spoiled(grid, "nulls")
    assert all(row["intensity"]["forecast"] is None and row["intensity"]["actual"] is None for row in bad)
    assert len(bad) == len(good)
    assert good[0]["intensity"]["forecast"] is not None


def test_nulls_in_regions(grid):
    bad, _ = spoiled(grid, "nulls", REGION)
    assert {row["intensity"]["forecast"] for row in bad["data"]} == {None}
    assert "actual" not in bad["data"][0]["intensity"]
    bad, _ = spoiled(grid, "nulls", REGIONS)
    assert {region["intensity"]["forecast"] for region in bad[0]["regions"]} == {None}
    bad, _ = spoiled(grid, "nulls", "/regional/regionid/3")
    assert bad[0]["data"][0]["intensity"]["forecast"] is None


def test_wrong_type(grid):
    bad, _ = spoiled(grid, "wrong_type")
    assert bad[0]["intensity"]["forecast"] == "moderate"


def test_duplicate_rows(grid):
    bad, good = spoiled(grid, "duplicate_rows")
    assert len(bad) == len(good) + 1
    assert bad[1]["from"] == bad[2]["from"]
    assert bad[2]["intensity"]["forecast"] == bad[1]["intensity"]["forecast"] + 7


def test_missing_rows(grid):
    bad, good = spoiled(grid, "missing_rows")
    missing = [row for row in good if row not in bad]
    assert [row["from"] for row in missing] == [good[48]["from"]]
    bad, good = spoiled(grid, "missing_rows", REGION)
    assert len(bad["data"]) == len(good["data"]) - 1


def test_new_year_cut(grid):
    bad, good = spoiled(grid, "new_year_cut", REGIONS)
    assert good[-1]["from"] > "2027"
    assert bad[-1]["from"] == "2026-12-31T23:30Z"
    bad, _ = spoiled(grid, "new_year_cut", REGION)
    assert bad["data"][-1]["from"] == "2026-12-31T23:30Z"


def test_list_as_object(grid):
    bad, good = spoiled(grid, "list_as_object", "/intensity")
    assert [bad] == good
    bad, good = spoiled(grid, "list_as_object", REGION)
    assert bad == good


def test_object_as_list(grid):
    bad, good = spoiled(grid, "object_as_list", REGION)
    assert bad == [good]
    bad, good = spoiled(grid, "object_as_list", "/intensity")
    assert bad == good


@pytest.mark.parametrize("fault", ["nulls", "missing_rows", "list_as_object", "object_as_list", "duplicate_rows"])
def test_faults_of_data_leave_an_error_an_error(grid, fault):
    grid.fail(fault)
    status, body, _ = fetch(grid, "/banana")
    assert status == 400
    assert b"valid path" in body


def test_faults_of_rows_survive_answers_without_rows(grid):
    for fault in ("new_year_cut", "missing_rows", "duplicate_rows", "nulls", "list_as_object"):
        grid.fail(fault, times=1)
        assert data(grid, "/intensity/2028-01-01T00:00Z") in ([], {})


def test_empty_object(grid):
    grid.fail("empty_object")
    assert fetch(grid)[:2] == (200, b"{}")


def test_html(grid):
    grid.fail("html")
    status, body, headers = fetch(grid)
    assert status == 200
    assert body.startswith(b"<!DOCTYPE html>")
    assert headers["Content-Type"].startswith("text/html")


def test_empty_body(grid):
    grid.fail("empty_body")
    assert fetch(grid)[:2] == (200, b"")


def test_truncated(grid):
    whole = fetch(grid)[1]
    grid.fail("truncated")
    status, body, _ = fetch(grid)
    assert (status, body) == (200, whole[: len(whole) // 2])


def test_outage(grid):
    grid.fail("outage_500")
    status, body, _ = fetch(grid)
    assert status == 500
    assert json.loads(body)["error"] == {"code": "500 Internal Server Error", "message": "Requested resource not found."}


def test_bad_request(grid):
    grid.fail("bad_request_400")
    assert fetch(grid)[0] == 400


def test_rate_limit(grid):
    grid.fail("rate_limit_429", retry_after_s=7)
    status, _, headers = fetch(grid)
    assert (status, headers["Retry-After"]) == (429, "7")


def test_reset(grid):
    grid.fail("reset")
    with pytest.raises((urllib.error.URLError, ConnectionResetError)) as caught:
        urllib.request.urlopen(grid.url + FW48, timeout=10)
    assert isinstance(getattr(caught.value, "reason", caught.value), ConnectionResetError)


def test_slow_comes_in_drips(grid):
    grid.fail("slow", drip_s=0.001)
    status, body, _ = fetch(grid, "/intensity")
    assert (status, len(json.loads(body)["data"])) == (200, 1)


def test_slow_starts_but_does_not_end_in_time(grid):
    grid.fail("slow", drip_s=30)
    connection = http.client.HTTPConnection("127.0.0.1", int(grid.url.rsplit(":", 1)[1]), timeout=60)
    connection.request("GET", FW48)
    assert connection.sock is not None
    line = connection.sock
    reply = connection.getresponse()
    assert reply.read(16).startswith(b'{"data"')
    line.settimeout(0.2)
    with pytest.raises(TimeoutError):
        reply.read()
    connection.close()


def test_hang_says_nothing_and_the_grid_still_stops():
    started = time.monotonic()
    with FakeGrid(now=NOW) as grid:
        grid.fail("hang")
        with socket.create_connection(("127.0.0.1", int(grid.url.rsplit(":", 1)[1])), timeout=0.2) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                client.recv(1)
            grid.stop()
    assert time.monotonic() - started < 60


def test_a_client_that_hangs_up_ends_a_hanging_answer(grid, capfd):
    grid.fail("hang", times=1)
    with suppress(TimeoutError, urllib.error.URLError):
        fetch(grid, timeout=0.1)
    used_up(grid)
    assert len(data(grid)) == 96
    grid.stop()
    assert capfd.readouterr().err == ""


def test_the_first_requests_fail_and_then_it_is_fine(grid):
    grid.fail("outage_500", times=2)
    assert [fetch(grid)[0] for _ in range(4)] == [500, 500, 200, 200]


def test_faults_take_effect_in_order(grid):
    grid.fail("outage_500", times=1)
    grid.fail("bad_request_400", times=1)
    grid.fail("html")
    assert [fetch(grid)[0] for _ in range(3)] == [500, 400, 200]
    assert [fault.name for fault in grid.faults] == ["html"]
    grid.heal()
    assert grid.faults == ()
    assert len(data(grid)) == 96


def test_a_fault_may_hit_some_paths_only(grid):
    grid.fail("outage_500", path="/regional")
    assert fetch(grid, FW48)[0] == 200
    assert fetch(grid, REGION)[0] == 500


@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_every_fault_ends_with_its_count(grid, fault):
    grid.fail(fault, times=1, drip_s=0.0)
    with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        fetch(grid, timeout=0.3 if fault == "hang" else 60)
    used_up(grid)
    assert len(data(grid)) == 96


def test_an_unknown_fault_is_refused_with_the_closest(grid):
    with pytest.raises(InputError, match="no fault 'null'") as caught:
        grid.fail("null")
    assert "did you mean nulls?" in caught.value.hint
    with pytest.raises(InputError, match="at least one request"):
        grid.fail("nulls", times=0)


def control(grid: FakeGrid, method: str, body: bytes | None = None, path: str = "/_faults") -> tuple[int, Any]:
    request = urllib.request.Request(grid.url + path, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_faults_are_switched_over_http_too(grid):
    status, faults = control(grid, "POST", b'{"fault": "outage_500", "times": 2}')
    assert status == 200
    assert [(fault["name"], fault["times"]) for fault in faults] == [("outage_500", 2)]
    assert fetch(grid)[0] == 500
    assert control(grid, "GET")[1][0]["times"] == 1
    assert control(grid, "DELETE") == (200, [])
    assert fetch(grid)[0] == 200
    assert [request.path for request in grid.requests] == [FW48, FW48]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Expecting value"),
        (b"[]", "names no fault"),
        (b"{}", "names no fault"),
        (b'{"fault": "banana"}', "no fault 'banana'"),
        (b'{"fault": "nulls", "times": "x"}', "not supported"),
        (b'{"fault": "nulls", "retry_after_s": "x"}', "float"),
        (b'{"fault": "nulls", "colour": "red"}', "colour"),
    ],
)
def test_a_bad_order_is_refused_and_changes_nothing(grid, body, words):
    status, answer = control(grid, "POST", body)
    assert status == 400
    assert words in answer["error"]
    assert grid.faults == ()


def test_orders_go_to_the_control_route_only(grid):
    assert control(grid, "POST", b"{}", "/intensity")[0] == 400


def test_serve_says_where_and_how_and_ends_on_interrupt(tmp_path):
    series = tmp_path / "ci.csv"
    series.write_text("start_utc,g_per_kwh\n2020-01-01T00:00Z,123\n2020-01-01T12:00Z,123\n", encoding="utf-8")
    code = f"from greenai.testing.grid import serve; serve(series={str(series)!r}, faults=['outage_500:1'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[3]
        assert process.stdout.readline().strip() == f"use it:   export GREENAI_UK_URL={url}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/intensity", timeout=10)
        caught.value.close()
        with urllib.request.urlopen(f"{url}/intensity", timeout=10) as reply:
            assert json.loads(reply.read())["data"][0]["intensity"]["forecast"] == 123
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest.endswith("stopped\n")


@pytest.mark.parametrize(("fault", "problem"), [("banana", "no fault"), ("nulls:x", "number of requests"), ("nulls:0", "number")])
def test_serve_refuses_a_bad_fault_before_it_serves(fault, problem):
    with pytest.raises(InputError, match=problem):
        serve(faults=[fault], tell=lambda _line: None)
