"""What greenai expects of a plug-in, as tests its author inherits.

Subclass in a test file, fill in what the class asks for, run pytest::

    class TestMyPolicy(PolicyContract):
        def policy(self):
            return my_policy
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import ClassVar

import numpy as np

from greenai.errors import InputError, MeterUnavailable, NoFeasibleWindow, ProviderBadData, SeriesError
from greenai.model.energy import QUALITY_ORDER
from greenai.model.evidence import sha256_of
from greenai.model.intensity import Access, Payload, Provider, Query
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.series import IntensitySeries, Source
from greenai.ports import Meter

Policy = Callable[[IntensitySeries, Constraints, datetime], Plan]

NOW = datetime(2026, 11, 24, 10, 37, tzinfo=UTC)
_SLOT = timedelta(minutes=30)
_HOUR = timedelta(hours=1)
_NOTHING_LOST = timedelta(0)
_CLOSE_G_PER_KWH = 1e-6
_SECRET = "s3cret-never-in-a-url"  # noqa: S105 - a secret made up to be looked for
_JUNK = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"data":null}',
    b'{"data":[]}',
    b'{"error":{}}',
    b"<!DOCTYPE html><html></html>",
    b"\xff\xfe",
)


def expect(kept: bool, promise: str) -> None:
    """Fail with the promise that was not kept."""
    if not kept:
        raise AssertionError(promise)


class ProviderContract:
    """Tests of a provider: set `provider`, and give one good recorded answer.

    `good()` returns a query and the bodies the service gave to the provider's
    requests for it, in order. Set `access` where the base URL or key matter.
    """

    provider: ClassVar[Provider]
    access: ClassVar[Access] = Access(base_url="https://grid.example", key=_SECRET)

    def good(self) -> tuple[Query, Sequence[bytes]]:
        """A query and the recorded bodies that answer it."""
        raise NotImplementedError("give a query and the recorded bodies that answer it")

    def payloads(self, bodies: Sequence[bytes]) -> list[Payload]:
        """Bodies as the door hands them over."""
        requests = self.provider.requests(self.good()[0], self.access)
        return [
            Payload(url=request.url, body=body, sha256=sha256_of(body), fetched_at=self.good()[0].now_at)
            for request, body in zip(requests, bodies, strict=True)
        ]

    def test_it_covers_the_zone_it_answers_for(self) -> None:
        """Asked for a zone it has data of, it says so."""
        expect(self.provider.covers(self.good()[0].zone), "covers(zone) is true for the zone of the recorded answer")

    def test_requests_are_pure(self) -> None:
        """The archive finds an answer again because the same query asks the same URLs."""
        query = self.good()[0]
        first, second = (self.provider.requests(query, self.access) for _ in range(2))
        expect(tuple(first) == tuple(second), "the same query and access give the same requests")
        expect(len(first) > 0, "there is at least one request")

    def test_the_key_is_not_in_a_url(self) -> None:
        """URLs are archived and shown; headers are not."""
        requests = self.provider.requests(self.good()[0], replace(self.access, key=_SECRET))
        expect(not any(_SECRET in request.url for request in requests), "the key is sent in a header, not in the URL")

    def test_the_recorded_answer_is_read(self) -> None:
        """The series starts where it was asked for and names its zone and source."""
        query, bodies = self.good()
        series = self.provider.parse(self.payloads(bodies), query)
        expect(series.start_at <= query.start_at < series.end_at, "the series holds the query's start")
        expect(series.zone == query.zone, "the series is of the zone asked for")
        expect(series.source.provider == self.provider.name, "the series names its provider")

    def test_parsing_is_pure(self) -> None:
        """Evidence is verified by parsing the archived answer again, years later."""
        query, bodies = self.good()
        first, second = (self.provider.parse(self.payloads(bodies), query) for _ in range(2))
        expect(bool(np.array_equal(first.values, second.values)), "the same payloads give the same values")
        expect((first.start_at, first.step) == (second.start_at, second.step), "the same payloads give the same slots")

    def test_junk_is_refused_by_name(self) -> None:
        """What a service sends instead of data is ProviderBadData (of a file: InputError), never a crash or a made-up series."""
        query, bodies = self.good()
        for junk in (*_JUNK, bodies[0][: len(bodies[0]) // 2]):
            payloads = self.payloads([junk] * len(bodies))
            series = None
            with suppress(ProviderBadData, InputError):
                series = self.provider.parse(payloads, query)
            expect(series is None or junk not in _JUNK, f"{junk[:40]!r} is refused with ProviderBadData")


class MeterContract:
    """Tests of a meter: `meter()` returns one that works, on real or prepared hardware.

    `pass_time()` is called between two reads; override it where the hardware is
    prepared, to move its counters on.
    """

    def meter(self) -> Meter:
        """A working meter."""
        raise NotImplementedError("return a meter that works here")

    def broken_meter(self) -> Meter | None:
        """A meter whose hardware has gone away, if one can be made."""
        return None

    def pass_time(self) -> None:
        """Let some energy be used."""

    def test_it_says_what_it_is(self) -> None:
        """Every number in the evidence carries the meter's name, quality and bounds."""
        info = self.meter().info
        expect(bool(info.name), "the meter has a name")
        expect(info.quality in QUALITY_ORDER, f"the quality is one of {', '.join(QUALITY_ORDER)}")
        expect(0 <= info.low_ratio <= 1 <= info.high_ratio, "low_ratio <= 1 <= high_ratio: the bounds hold the value")
        expect(info.edge_s >= 0, "edge_s is not negative")

    def test_samples_carry_its_name(self) -> None:
        """Samples of several meters are told apart by name."""
        meter = self.meter()
        samples = meter.read()
        expect(len(samples) > 0, "a read gives at least one sample")
        expect(all(sample.meter == meter.info.name for sample in samples), "each sample names the meter as its info does")
        expect(all(sample.component == meter.info.component for sample in samples), "each sample is of the meter's component")

    def test_energy_never_falls(self) -> None:
        """Counters are unwrapped: joules since an arbitrary origin only grow, and time with them."""
        meter = self.meter()
        reads = []
        for _ in range(5):
            reads.append(meter.read())
            self.pass_time()
        for earlier, later in pairwise(reads):
            rises = zip(earlier, later, strict=True)
            expect(
                all(a.energy_j <= b.energy_j and a.monotonic_s <= b.monotonic_s for a, b in rises), "energy and time never fall"
            )

    def test_times_are_utc(self) -> None:
        """A naive time cannot be matched with the grid's."""
        expect(
            all(sample.taken_at.utcoffset() == _NOTHING_LOST for sample in self.meter().read()), "taken_at is an aware UTC time"
        )

    def test_a_lost_meter_says_so(self) -> None:
        """The sampler takes MeterUnavailable as "go on without"; anything else would end it."""
        meter = self.broken_meter()
        if meter is None:
            return
        try:
            meter.read()
        except MeterUnavailable:
            return
        raise AssertionError("a meter whose hardware has gone raises MeterUnavailable")


class PolicyContract:
    """Tests of a policy: `policy()` returns it, `constraints` fills in limits it needs, such as max_g_per_kwh."""

    def policy(self) -> Policy:
        """The policy under test."""
        raise NotImplementedError("return the policy")

    def constraints(self, constraints: Constraints) -> Constraints:
        """The limits of a case, with what this policy needs beside them."""
        return constraints

    def cases(self) -> Iterator[tuple[IntensitySeries, Constraints]]:
        """Series and limits to try: flat, falling, rising, a day's wave and noise; roomy, tight and cut short."""
        hours = np.arange(96) / 2
        shapes = {
            "flat": np.full(96, 200.0),
            "falling": np.linspace(400, 50, 96),
            "rising": np.linspace(50, 400, 96),
            "wave": 200 + 100 * np.sin(hours / 24 * 2 * np.pi),
            "noise": np.random.default_rng(7).uniform(0, 500, 96),
        }
        for values in shapes.values():
            for duration, slack in ((2 * _HOUR, 22 * _HOUR), (timedelta(minutes=50), 3 * _HOUR), (_HOUR, _NOTHING_LOST)):
                limits = Constraints(earliest_at=NOW, deadline_at=NOW + duration + slack, duration=duration)
                yield made_up_series(values), self.constraints(limits)

    def test_windows_keep_the_limits(self) -> None:
        """No window starts before the job may, or ends after it must."""
        for series, constraints in self.cases():
            windows = self.policy()(series, constraints, NOW).windows
            expect(windows[0].start_at >= max(NOW, constraints.earliest_at), "the first window starts no sooner than the job may")
            expect(windows[-1].end_at <= constraints.deadline_at, "the last window ends by the deadline")
            expect(all(a.end_at < b.start_at for a, b in pairwise(windows)), "windows are in order and apart")

    def test_the_whole_job_is_planned(self) -> None:
        """Windows last the job's duration, and each resume its cost more; one window unless it may be interrupted."""
        for series, constraints in self.cases():
            windows = self.policy()(series, constraints, NOW).windows
            planned = sum((window.duration for window in windows), timedelta(0))
            needed = constraints.duration + (len(windows) - 1) * constraints.resume_cost
            expect(planned == needed, f"the windows last {needed}, not {planned}")
            expect(len(windows) == 1 or constraints.interruptible, "a job that may not be interrupted has one window")

    def test_the_expected_intensity_is_the_mean_over_the_windows(self) -> None:
        """What is promised is what the series says, integrated exactly."""
        for series, constraints in self.cases():
            plan = self.policy()(series, constraints, NOW)
            cost_g_per_kw = sum(series.integral_g_per_kw(window.start_at, window.end_at) for window in plan.windows)
            hours = sum(window.duration / _HOUR for window in plan.windows)
            expect(abs(plan.cost_g_per_kw - cost_g_per_kw) < _CLOSE_G_PER_KWH, "cost_g_per_kw is the integral over the windows")
            expect(abs(plan.expected_g_per_kwh - cost_g_per_kw / hours) < _CLOSE_G_PER_KWH, "expected_g_per_kwh is their mean")

    def test_the_same_question_has_the_same_answer(self) -> None:
        """A decision can be replayed."""
        for series, constraints in self.cases():
            first, second = (self.policy()(series, constraints, NOW) for _ in range(2))
            expect(first == second, "the same series, limits and moment give the same plan")

    def test_what_does_not_fit_is_refused(self) -> None:
        """The user is told, rather than given a window that breaks a limit."""
        series = made_up_series(np.full(96, 200.0))
        short = self.constraints(Constraints(earliest_at=NOW, deadline_at=NOW + _HOUR, duration=2 * _HOUR))
        try:
            self.policy()(series, short, NOW)
        except NoFeasibleWindow:
            return
        raise AssertionError("a job that does not fit before its deadline raises NoFeasibleWindow")

    def test_a_forecast_that_ends_early_is_no_error_inside_it(self) -> None:
        """Where the series stops before the deadline, the plan stays within the series."""
        series = made_up_series(np.linspace(400, 100, 12))
        limits = self.constraints(Constraints(earliest_at=NOW, deadline_at=NOW + 48 * _HOUR, duration=_HOUR))
        try:
            plan = self.policy()(series, limits, NOW)
        except SeriesError:
            raise AssertionError("a series shorter than the deadline is planned within") from None
        expect(plan.windows[-1].end_at <= series.end_at, "no window lies beyond the end of the series")


def made_up_series(
    values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]], *, zone: str = "GB"
) -> IntensitySeries:
    """A forecast in half hours from 10:30 UTC on 24 November 2026, the slot of `NOW`."""
    source = Source(provider="made up", url="data:,", fetched_at=NOW, payload_sha256=sha256_of(b""))
    return IntensitySeries(
        start_at=NOW.replace(minute=30),
        step=_SLOT,
        values=np.asarray(values),
        zone=zone,
        kind="forecast",
        issued_at=NOW,
        source=source,
    )
