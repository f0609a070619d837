"""What happens between two kills of the chaos test, decided beforehand by one seed: who runs the queue, and what befalls it."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

GREENAI = [sys.executable, "-m", "greenai.cli"]
MOVED_DAEMON = [sys.executable, str(Path(__file__).with_name("moved_daemon.py"))]

WRONG_BY_S = (0.0, 0.0, 90.0, -90.0, 3600.0, -3600.0)
"""How wrong clocks are, and by how much they jump."""

LONGEST_LIFE_S = 20.0
"""A daemon that makes no news is killed after this long."""

LONGEST_STANDSTILL_S = 1.0
"""The same for one that may launch nothing: its clock is before the jobs were submitted."""

Moment = Literal["written", "launching", "done", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life: its processes, and when they are killed.

    `moment`: after so many bytes of the log ("written"), so many seconds after a
    run's directory appeared ("launching"), after so many jobs began and ended
    ("done"), or after a full disk refused what was to be written ("refused");
    `longest_s` counts from when they are up. `twins`: two whose clocks agree, of
    which only one may ever write. `loses` is what somebody removes: the database
    before it begins, or the lease when the moment has come, after which the same
    moment is waited for once more.
    """

    commands: tuple[tuple[str, ...], ...]
    moment: Moment
    amount: float
    longest_s: float = LONGEST_LIFE_S
    twins: bool = False
    loses: Literal["", "lease", "database"] = ""
    kills_a_shim: bool = False


def lives(seed: int, *, kills: int, shim_kills: int, marks: int) -> list[Life]:
    """All lives of one run; `marks`: so many beginnings and ends fall to each, on average."""
    kills_of_shims = set(random.Random(f"{seed}/shims").sample(range(kills), min(shim_kills, kills)))
    return [
        _life(number, random.Random(f"{seed}/{number}"), marks=marks, kills_a_shim=number in kills_of_shims)
        for number in range(kills)
    ]


def _life(number: int, dice: random.Random, *, marks: int, kills_a_shim: bool) -> Life:
    moment, amount = _moment(dice, marks)
    kind = number % 20
    made: dict[str, Any] = {"moment": moment, "amount": amount, "kills_a_shim": kills_a_shim}
    if kind in {1, 6, 11, 16}:
        return _two(number, dice, made)
    if kind in {3, 13}:
        return Life(commands=((*GREENAI, "daemon"), (*GREENAI, "jobs", "wait", "1")), **made)
    if kind == 7:
        return Life(commands=((*GREENAI, "daemon"),), **made)
    if kind == 9:
        return Life(commands=(moved(room=dice.choice((0, 300, 5000))),), **(made | {"moment": "refused", "longest_s": 5.0}))
    wrong = {"off_s": dice.choice(WRONG_BY_S), "jumps_s": dice.choice(WRONG_BY_S), "after_s": dice.uniform(0.0, 1.0)}
    loses = "database" if kind == 18 else ""
    return Life(commands=(moved(**wrong),), loses=loses, longest_s=_longest(wrong), **made)


def _two(number: int, dice: random.Random, made: dict[str, Any]) -> Life:
    """Two at once: with clocks that agree, with a lease that is lost, or with clocks that do not agree."""
    if number % 3 < 2:
        # Long enough for both to do what they should not.
        made |= {"moment": "done", "amount": 6}
    if number % 3 == 0:
        return Life(commands=(moved(), moved()), twins=True, **made)
    if number % 3 == 1:
        return Life(commands=(moved(), moved()), loses="lease", **made)
    # Each takes the other's lease for one from another time, and looks at what that one launched a moment ago.
    return Life(commands=(moved(off_s=3600.0), moved(off_s=dice.choice((0.0, 90.0)))), **made)


def _moment(dice: random.Random, marks: int) -> tuple[Moment, float]:
    kind = dice.random()
    if kind < 0.3:
        return "launching", dice.uniform(0.0, 0.04)
    if kind < 0.5:
        return "written", dice.choice((1, 400, 1200, 3000))
    return "done", dice.randint(max(1, marks // 2), 3 * marks)


def _longest(wrong: dict[str, float]) -> float:
    stands = min(wrong["off_s"], wrong["off_s"] + wrong["jumps_s"]) < 0
    return LONGEST_STANDSTILL_S if stands else LONGEST_LIFE_S


def moved(**given: float | None) -> tuple[str, ...]:
    """A daemon to which this happens."""
    return (*MOVED_DAEMON, json.dumps(given))
