"""What goes wrong with grid services, on demand: each one seen in the wild, or a way any server can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from greenai.testing._world import Reply

_PAGE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that is switched on.

    `times` is how many requests it hits (None: all), `path` which ones, by how
    the path starts. `retry_after_s` is what a 429 asks for; `drip_s` the pause
    after each 16 bytes of a slow answer.
    """

    name: str
    times: int | None = None
    path: str = "/"
    retry_after_s: float = 1.0
    drip_s: float = 0.2


def spoiled(reply: Reply, fault: Fault) -> Reply:
    """The answer as it goes out with the fault on."""
    return FAULTS[fault.name](reply, fault)


def _nulls(reply: Reply, _fault: Fault) -> Reply:
    return _with_numbers(reply, None)


def _wrong_type(reply: Reply, _fault: Fault) -> Reply:
    return _with_numbers(reply, "moderate")


def _empty_object(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(document={})


def _html(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(body=_PAGE.encode(), content_type="text/html; charset=utf-8")


def _empty_body(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(body=b"")


def _truncated(reply: Reply, _fault: Fault) -> Reply:
    body = reply.encoded()
    return replace(reply, body=body[: len(body) // 2])


def _duplicate_rows(reply: Reply, _fault: Fault) -> Reply:
    """The second row twice with two values, as on 2021-04-19T19:00Z (the service's issue 17)."""

    def doubled(rows: Rows) -> Rows:
        again = copy.deepcopy(rows[1:2])
        _set_numbers(again, lambda value: value + 7 if isinstance(value, int | float) else value)
        return rows[:2] + again + rows[2:]

    return _with_rows(reply, doubled)


def _missing_rows(reply: Reply, _fault: Fault) -> Reply:
    return _with_rows(reply, lambda rows: rows[: len(rows) // 2] + rows[len(rows) // 2 + 1 :])


def _new_year_cut(reply: Reply, _fault: Fault) -> Reply:
    """Nothing after 31 December 23:30 of the year the answer starts in (api-definitions issue 12)."""
    return _with_rows(reply, lambda rows: [row for row in rows if _year(row) == _year(rows[0])])


def _year(row: Row) -> str:
    return str(row.get("from", row.get("at")))[:4]


def _list_as_object(reply: Reply, _fault: Fault) -> Reply:
    data = _data(reply)
    return _with_data(reply, data[0]) if isinstance(data, list) and data else reply


def _object_as_list(reply: Reply, _fault: Fault) -> Reply:
    data = _data(reply)
    return _with_data(reply, [data]) if isinstance(data, dict) else reply


def _outage_500(_reply: Reply, _fault: Fault) -> Reply:
    message = {"code": "500 Internal Server Error", "message": "Requested resource not found."}
    return Reply(status=500, document={"error": message})


def _bad_request_400(_reply: Reply, _fault: Fault) -> Reply:
    message = {"code": "400 Bad Request", "message": "Please enter a valid path e.g. /intensity/"}
    return Reply(status=400, document={"error": message})


def _not_found_404(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(status=404, document={"error": "Not Found"})


def _bad_key_401(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(status=401, document={"error": "Invalid auth-token"})


def _plan_401(reply: Reply, _fault: Fault) -> Reply:
    """A good key outside its plan: 401 all the same (Electricity Maps); the list of its rights it may read."""
    about = reply.document.values() if isinstance(reply.document, dict) else ()
    if any("access" in zone for zone in about if isinstance(zone, dict)):
        return reply
    error = "Request unauthorized for zoneKey=DE,requestType=forecast,dataType=carbon-intensity."
    message = "You do not have access to this specific endpoint for this specific zone."
    return Reply(status=401, document={"error": error, "message": message})


def _bad_key_403(_reply: Reply, _fault: Fault) -> Reply:
    return Reply(status=403, document={"error": {"code": "API_KEY_INVALID", "message": "An invalid api_key was supplied."}})


def _scope_403(_reply: Reply, _fault: Fault) -> Reply:
    """An account that may not read the region (WattTime)."""
    words = "Invalid scope. You do not have sufficient access to this resource."
    return Reply(
        status=403, document={"error": "Forbidden", "message": f"{words} All users are allowed free access to CAISO_NORTH."}
    )


def _sandbox(reply: Reply, _fault: Fault) -> Reply:
    """Made-up data for a sandbox key (Electricity Maps)."""
    if not isinstance(reply.document, dict):
        return reply
    return replace(reply, document={**reply.document, "_disclaimer": "This data is randomly generated: SANDBOX MODE"})


def _rate_limit_429(_reply: Reply, fault: Fault) -> Reply:
    wait = f"{fault.retry_after_s:g}"
    return Reply(status=429, document={"error": {"code": "429 Too Many Requests"}}, headers={"Retry-After": wait})


def _slow(reply: Reply, _fault: Fault) -> Reply:
    return replace(reply, delivery="slow")


def _hang(reply: Reply, _fault: Fault) -> Reply:
    return replace(reply, delivery="hang")


def _reset(reply: Reply, _fault: Fault) -> Reply:
    return replace(reply, delivery="reset")


FAULTS: Mapping[str, Callable[[Reply, Fault], Reply]] = MappingProxyType(
    {
        "nulls": _nulls,
        "empty_object": _empty_object,
        "html": _html,
        "truncated": _truncated,
        "duplicate_rows": _duplicate_rows,
        "missing_rows": _missing_rows,
        "list_as_object": _list_as_object,
        "object_as_list": _object_as_list,
        "new_year_cut": _new_year_cut,
        "outage_500": _outage_500,
        "bad_request_400": _bad_request_400,
        "empty_body": _empty_body,
        "rate_limit_429": _rate_limit_429,
        "slow": _slow,
        "hang": _hang,
        "reset": _reset,
        "wrong_type": _wrong_type,
        "not_found_404": _not_found_404,
        "bad_key_401": _bad_key_401,
        "plan_401": _plan_401,
        "bad_key_403": _bad_key_403,
        "scope_403": _scope_403,
        "sandbox": _sandbox,
    }
)
"""Every fault by name."""


def _data(reply: Reply) -> Any:
    return reply.document.get("data") if isinstance(reply.document, dict) else None


def _with_data(reply: Reply, data: Any) -> Reply:
    return replace(reply, document={**reply.document, "data": data})


def _with_rows(reply: Reply, edit: Callable[[Rows], Rows]) -> Reply:
    """The answer with its half hours edited, wherever they sit; one without any stays."""
    if reply.shape is not None:
        return replace(reply, document=reply.shape(edit(copy.deepcopy(list(reply.rows)))))
    data = copy.deepcopy(_data(reply))
    if data is None:
        return reply
    for region in [data] if isinstance(data, dict) else data:
        if region.get("data"):
            region["data"] = edit(region["data"])
    if isinstance(data, list) and data and "from" in data[0]:
        data = edit(data)
    return _with_data(reply, data)


def _with_numbers(reply: Reply, value: object) -> Reply:
    def edit(rows: Rows) -> Rows:
        _set_numbers(rows, lambda _number: value)
        return rows

    return _with_rows(reply, edit)


def _set_numbers(rows: Rows, change: Callable[[Any], object]) -> None:
    """Change every forecast and measured value of the rows in place."""
    for row in rows:
        if "at" in row:
            row["value"] = change(row["value"])
        for holder in row.get("regions", [row]):
            cell = holder.get("intensity", {})
            for name in cell.keys() & {"forecast", "actual"}:
                cell[name] = change(cell[name])
