"""What a waiting run says: a countdown on a terminal, a line at each half hour elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from types import FrameType
from typing import Any, Final, Literal

from greenai.cli import words
from greenai.cli.screen import Screen
from greenai.cli.source import loud_words
from greenai.engine.progress import Ended, Progress, Read, Replanned, Started, Waiting
from greenai.model.plan import Decision
from greenai.ports import Clock

Phase = Literal["waiting", "running", "ended"]

TICK = timedelta(seconds=1)
CLEAR_LINE: Final = "\r\x1b[K"
STOPPING: Final = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal ended the wait."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Watcher:
    """Tells the user what the engine is doing, and turns signals into an orderly end while nothing runs yet."""

    def __init__(self, screen: Screen, zone: tzinfo) -> None:
        self._screen = screen
        self._zone = zone
        self._decision: Decision | None = None
        self._previous: dict[int, Any] = {}
        console = screen.err
        self._drawn = False
        self.redraws = console.is_terminal and not console.is_dumb_terminal and not screen.quiet
        self.run_id = ""
        self.phase: Phase = "waiting"

    def __enter__(self) -> Watcher:
        """From here to the start of the command SIGTERM and SIGHUP raise `Stopped`; ignored ones (nohup) stay ignored."""
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, _stop)
        return self

    def __exit__(self, *exc: object) -> None:
        self._clear()
        self._give_back_signals()

    def tell(self, progress: Progress) -> None:
        """Hear from the engine."""
        match progress:
            case Read(what=what, done=done, of=of):
                self._redraw(f"{what}: {done} of {of}")
            case Waiting():
                self._wait(progress)
            case Replanned():
                self._clear()
                start = words.day_time(progress.decision.start_at, self._zone)
                self._screen.note(f"new forecast: the start moved to {start}; {progress.decision.reason}")
                self._decision = progress.decision
            case Started():
                self._clear()
                self._give_back_signals()
                self.run_id, self.phase = progress.run_id, "running"
                if self._decision is None and progress.reason:
                    self._screen.note(progress.reason)
                self._screen.note(f"started {words.day_time(progress.started_at, self._zone)} as run {progress.run_id}")
            case Ended():
                self.phase = "ended"

    def draw(self, now_at: datetime) -> None:
        """Redraw the countdown."""
        if self._decision is not None:
            self._redraw(f"waiting {_countdown(self._decision.start_at - now_at)} {_purpose(self._decision, self._zone)}")

    def _redraw(self, line: str) -> None:
        if self.redraws:
            self._drawn = True
            self._screen.err.file.write(CLEAR_LINE + line[: self._screen.err.width - 1])
            self._screen.err.file.flush()

    def _wait(self, progress: Waiting) -> None:
        first = self._decision is None
        self._clear()
        self._decision, self.run_id = progress.decision, progress.decision.job_id
        loud = loud_words(progress.reading)
        if first and loud:
            self._screen.warn(loud.plain)
        if first and self._screen.verbose:
            self._screen.note(progress.decision.reason)
        if not self.redraws:
            left = words.about(progress.decision.start_at - progress.reading.query.now_at)
            self._screen.note(f"waiting {left} {_purpose(progress.decision, self._zone)}")

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = False
            self._screen.err.file.write(CLEAR_LINE)
            self._screen.err.file.flush()

    def _give_back_signals(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)


class WatchedClock:
    """A clock that lets somebody look at each second while it waits."""

    def __init__(self, clock: Clock, look: Callable[[datetime], None], *, tick: timedelta = TICK) -> None:
        self._clock = clock
        self._look = look
        self._tick = tick

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self._clock.now()

    def wait_until(self, moment: datetime) -> None:
        """Wait as the wrapped clock does, looking at each tick."""
        while (now_at := self._clock.now()) < moment:
            self._look(now_at)
            self._clock.wait_until(min(moment, now_at + self._tick))


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _countdown(left: timedelta) -> str:
    seconds = max(0, round(left.total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _purpose(decision: Decision, zone: tzinfo) -> str:
    """Until when, and what for."""
    until = f"until {words.clock_time(decision.start_at, zone)}"
    if decision.expected_g_per_kwh is None or decision.at_once_g_per_kwh is None:
        return until
    then, at_once = words.intensity(decision.expected_g_per_kwh), words.intensity(decision.at_once_g_per_kwh)
    return f"{until}: {then} instead of {at_once} g/kWh, saves about {words.share(decision.expected_saving)}"
