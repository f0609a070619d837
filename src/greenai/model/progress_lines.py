"""How far a program is, read from what it prints: progress bars, "Epoch 3/10", "step 120/1000".

A wrong share is worse than none, so only shapes that hardly occur otherwise are
read: a tqdm bar as a whole ("45%|####  | 450/1000 [00:12<00:15, 37it/s]"), and
counters with their total after the words epoch, step or iteration. A percentage
by itself means nothing here. What begins again (one bar an epoch, one an
evaluation) counts part of the work, not all of it: it says how far an epoch is if
epochs are counted, and nothing otherwise. Where several things count that might
each be the whole, nothing is said.

The answer does not depend on how the output is cut into pieces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

LONGEST_LINE = 2048
"""A longer line is not a progress bar; so much is kept of a line that is not complete."""

MOST_COUNTERS = 16
"""A program that counts more things at once is not understood."""

FEWEST_STEPS = 20
""""Step 2 of 5" counts stages, which differ in length; steps of a training are many."""

EPOCH = "epoch"

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BREAK = re.compile(r"[\r\n]")
_BAR = re.compile(
    r"^(?P<about>.{0,200}?)(?<!\d)(?P<percent>\d{1,3})%\|[^|]{0,400}\| *"
    r"(?P<done>\d+)/(?P<total>\d+) \[\d+:\d\d[\d:]*<[\d:?]+,"
)
"""tqdm's default: {desc}: {percentage}%|{bar}| {n}/{total} [{elapsed}<{remaining}, {rate}{postfix}] (tqdm 4, std.py)."""

_KERAS = re.compile(r"^ *(?P<done>\d+)/(?P<total>\d+) [━╸\[=>.\]]{3,}")
"""Keras: {n}/{total} {bar} {eta}; only under an epoch."""

_OF = r"[ :=#]*\[?\(? *(?P<done>\d+) *(?:/|of) *(?P<total>\d+)(?![\d/-]|[.:]\d)"
_EPOCH = re.compile(rf"(?<![\w/])epochs?{_OF}", re.IGNORECASE)
_STEP = re.compile(rf"(?<![\w/])(?:global[ _])?(?:steps?|iters?|iterations?){_OF}", re.IGNORECASE)
_WHOLE = re.compile(
    r"(?:total|overall|progress|train\w*|optimi\w*|steps?|iterations?)?[\s#:=,\[\]/]*(?:loss[\s#:=]*)?", re.IGNORECASE
)
"""What a bar may say of itself and count the whole work; others prepare, load, validate."""

_ASIDE = re.compile(r"valid|sanity|eval|test", re.IGNORECASE)
"""What is done beside the training of an epoch."""

_NUMBERS = re.compile(r"[-+]?\d[\d.e+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Something that is counted up to `total`. `restarted`: it has begun again, so it counts a part."""

    done: int
    total: int
    restarted: bool = False
    from_zero: bool = False

    def moved(self, done: int) -> Counter:
        """The counter after it was seen again. Ranks that print in turn differ a little; what falls by half begins anew."""
        anew = 2 * done < self.done
        return Counter(
            done=done if anew else max(done, self.done),
            total=self.total,
            restarted=self.restarted or anew,
            from_zero=self.from_zero or done == 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What has been read so far: the line that is not complete, the counters by name, and those of the present epoch."""

    rest: str = ""
    counters: Mapping[str, Counter] = field(default_factory=lambda: MappingProxyType({}))
    of_epoch: Mapping[str, Counter] = field(default_factory=lambda: MappingProxyType({}))
    too_many: bool = False

    @property
    def share(self) -> float | None:
        """How much of the whole work is done, 0 to 1; None where that cannot be told."""
        # tqdm ends a bar with the beginning of the next: the last one stands in the line that is not complete.
        seen = _with_bar(self, self.rest) or self
        if seen.too_many:
            return None
        epochs = [counter for name, counter in seen.counters.items() if name.startswith(EPOCH)]
        if epochs:
            return _share_of_epochs(epochs, seen.of_epoch)
        # What is complete may have been a preparation: it says nothing of what comes.
        going = [counter for counter in seen.counters.values() if not counter.restarted and counter.done < counter.total]
        return going[0].done / going[0].total if len(going) == 1 else None


def read_on(seen: Seen, text: str) -> Seen:
    """What is known after more output."""
    *lines, rest = _BREAK.split(seen.rest + text)
    for line in lines:
        seen = _after_line(seen, line)
    return replace(seen, rest=rest if len(rest) <= LONGEST_LINE else "x" * (LONGEST_LINE + 1))


def skipped_to(seen: Seen, text: str) -> Seen:
    """What is known after output that does not follow: what stands before its first line break is the end of something."""
    _, *lines = _BREAK.split(text, maxsplit=1)
    return read_on(replace(seen, rest=""), lines[0]) if lines else replace(seen, rest="")


def _after_line(seen: Seen, line: str) -> Seen:
    if len(line) > LONGEST_LINE:
        return seen
    line = _ESCAPES.sub("", line)
    epoch = _EPOCH.search(line)
    if epoch is not None:
        seen = _with_epoch(seen, epoch)
    barred = _with_bar(seen, line)
    if barred is not None:
        return barred
    keras = _KERAS.match(line)
    if keras is not None and _counts_epochs(seen):
        return _counted(seen, f"keras/{keras['total']}", keras)
    step = _STEP.search(line)
    if step is not None and int(step["total"]) >= FEWEST_STEPS:
        return _counted(seen, f"step/{step['total']}", step)
    return seen


def _counts_epochs(seen: Seen) -> bool:
    return any(name.startswith(EPOCH) for name in seen.counters)


def _with_epoch(seen: Seen, match: re.Match[str]) -> Seen:
    """Another epoch begins unless it is the one that was going."""
    name = f"{EPOCH}/{match['total']}"
    before = seen.counters.get(name)
    counted = _counted(seen, name, match)
    fresh = before is None or before.done != int(match["done"])
    return replace(counted, of_epoch=MappingProxyType({})) if fresh else replace(counted, of_epoch=seen.of_epoch)


def _with_bar(seen: Seen, line: str) -> Seen | None:
    """With the bar on a line, as far as it means something; None where there is no bar that is consistent in itself."""
    match = _BAR.match(_ESCAPES.sub("", line)) if "%|" in line else None
    if match is None or int(match["total"]) < 2:
        return None
    if abs(100 * int(match["done"]) / int(match["total"]) - int(match["percent"])) > 1:
        return None
    about = _NUMBERS.sub("#", match["about"]).strip()
    means_something = not _ASIDE.search(about) if _counts_epochs(seen) else _WHOLE.fullmatch(about)
    return _counted(seen, f"bar {about}/{match['total']}", match) if means_something else seen


def _counted(seen: Seen, name: str, match: re.Match[str]) -> Seen:
    done, total = int(match["done"]), int(match["total"])
    if not 0 <= done <= total or total == 0:
        return seen
    counters = _moved(seen.counters, name, done, total)
    of_epoch = seen.of_epoch if name.startswith(EPOCH) else _moved(seen.of_epoch, name, done, total)
    too_many = seen.too_many or len(counters) > MOST_COUNTERS
    return Seen(rest=seen.rest, counters=counters, of_epoch=of_epoch, too_many=too_many)


def _moved(counters: Mapping[str, Counter], name: str, done: int, total: int) -> Mapping[str, Counter]:
    """The counters, with one of them seen again."""
    known = counters.get(name)
    moved = Counter(done=done, total=total, from_zero=done == 0) if known is None else known.moved(done)
    if moved == known or (known is None and len(counters) > MOST_COUNTERS):
        return counters
    return {**counters, name: moved}


def _share_of_epochs(epochs: list[Counter], inside: Mapping[str, Counter]) -> float | None:
    """Whole epochs, and the present one as far as its longest counter is; an epoch is taken as begun where it is named."""
    if len(epochs) != 1 or epochs[0].restarted:
        return None
    epoch = epochs[0]
    longest = max(inside.values(), key=lambda counter: counter.total, default=None)
    part = 0.0 if longest is None or longest.restarted else longest.done / longest.total
    before, total = (epoch.done, epoch.total + 1) if epoch.from_zero else (epoch.done - 1, epoch.total)
    return min(1.0, (before + part) / total)
