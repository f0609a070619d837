"""Forecasts of our own in the reading chain: what they rest on, what moves them, what happens when something is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.engine.foresight_world import HOUR, METER, NOW, SKY, Grid
from tests.forecasting_world import SOURCE, grid, series, slow_noise

from greenai.engine.foresee import OWN, at_hand, foresee
from greenai.engine.foresight import Foresight
from greenai.engine.read import reparse, telling
from greenai.errors import ProviderBadData, ProviderRefused, ProviderUnavailable, SeriesError, StoreError, UnknownZone
from greenai.logic import forecasting
from greenai.logic.forecasting import forecast
from greenai.logic.foreseeing import Outlook, Weights, is_own, mixed, parsed
from greenai.logic.history import history_of, until
from greenai.model.intensity import Payload, Request

DAYS = 100
FIRST = NOW.replace(hour=0, minute=0) - timedelta(days=DAYS)
HOURS = DAYS * 24 + 24 * 8
NOTHING = b'{"kind": "forecast", "points": []}'
FILE = Request(url="file:///history.csv")


def world(days: int = DAYS, *, seed: int = 3, **more) -> Grid:
    values = grid(HOURS, seed=seed)[(DAYS - days) * 24 :]
    return Grid(values, first_at=FIRST + timedelta(days=DAYS - days), **more)


def test_where_the_service_does_not_forecast_we_do():
    here = world()
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.series.source.provider, reading.series.kind, reading.step) == ("lpr", "forecast", "live")
    assert reading.series.covers(here.query().start_at, here.query().end_at)
    assert reading.own.method == "lpr"
    assert reading.own.note.startswith("100 days of history, up to 2022-05-03 09:00 UTC")
    low, high = reading.own.low, reading.own.high
    assert (low.values <= reading.series.values).all()
    assert (reading.series.values <= high.values).all()
    assert reading.fallback_reason is None


def test_it_is_what_the_forecaster_says_of_the_measured_past():
    here = world()
    made = foresee(here.query(), sources=here.sources).series
    past = until(history_of(replace(series(here.values, start_at=FIRST), source=SOURCE)), NOW)
    alone = forecast(past, here.query().end_at - past.end_at).series
    assert made.start_at == alone.start_at + HOUR
    np.testing.assert_allclose(made.values, alone.values[1:], rtol=1e-12)


def test_it_is_archived_and_reads_again_bit_for_bit():
    here = world()
    reading = foresee(here.query(), sources=here.sources)
    (payload,) = reading.payloads
    assert is_own(reading.payloads)
    assert here.archive.payload(payload.sha256) == payload
    again = reparse(reading.query, reading.payloads, providers=(), provider_name="lpr")
    assert again.values.tolist() == reading.series.values.tolist()
    assert again.source == reading.series.source
    inputs = json.loads(payload.body)["input_sha256s"]
    assert tuple(inputs) == reading.own.input_sha256s
    assert inputs
    assert all(here.archive.payload(sha256) for sha256 in inputs)


def test_scrambling_the_future_changes_nothing():
    plain, other = world(), world()
    now = (NOW - FIRST) // HOUR
    other.values = np.concatenate((plain.values[:now], np.random.default_rng(7).permutation(plain.values[now:]) * 3))
    plain.wind = slow_noise(HOURS, 5) + 20
    other.wind = plain.wind
    for here in (plain, other):
        here.foresight = replace(here.foresight, weather=SKY)
    one, two = (foresee(here.query(48), sources=here.sources) for here in (plain, other))
    assert one.own.method == "lpr+weather"
    assert one.series.values.tolist() == two.series.values.tolist()


def test_a_day_later_only_what_is_new_is_asked():
    here = world()
    foresee(here.query(), sources=here.sources)
    first = sum("/observed" in url for url in here.asked)
    assert first > 10
    here.asked.clear()
    here.clock.wait_until(NOW + timedelta(minutes=30))
    foresee(here.query(), sources=here.sources)
    here.clock.wait_until(NOW + timedelta(days=1))
    here.restarted()
    reading = foresee(here.query(), sources=here.sources)
    assert sum("/observed" in url for url in here.asked) == 2
    assert reading.own.note.startswith("101 days of history, up to 2022-05-04 09:00")


def test_the_model_of_the_day_is_kept_and_the_newest_value_counts():
    here = world()
    early = foresee(here.query(), sources=here.sources)
    models = [kept for key, kept in here.foresight.kept.items() if key[0] == "model"]
    here.values[(NOW - FIRST) // HOUR] *= 3
    here.clock.wait_until(NOW + HOUR)
    late = foresee(replace(here.query(), end_at=early.query.end_at), sources=here.sources)
    assert [kept for key, kept in here.foresight.kept.items() if key[0] == "model"] == models
    assert late.series.at(NOW + 2 * HOUR) > 1.2 * early.series.at(NOW + 2 * HOUR)


def test_gaps_in_the_past_are_tolerated():
    here = world()
    here.holes = {FIRST + HOUR * hour for hour in (500, 501, *range(900, 930), 1500)}
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == "lpr"
    assert reading.series.covers(NOW, reading.query.end_at)


@pytest.mark.parametrize(("days", "method"), [(30, "profile"), (5, "seasonal-naive")])
def test_a_short_past_allows_less_and_says_so(days, method):
    here = world(days)
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == method
    assert f"{days} days of history are known, 60 are needed for lpr" in reading.fallback_reason


def test_without_enough_past_the_chain_stands_with_the_reason():
    here = world(1)
    here.foretold = lambda now_at: np.full(6, 100.0)
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own, reading.series.source.provider) == (None, "meter")
    assert "no forecast of our own: no forecast for GB: 33 hours of history are known" in reading.fallback_reason


def test_auto_leaves_a_service_that_reaches_far_enough_alone():
    here = world()
    here.foretold = lambda now_at: np.full(48, 100.0)
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own, reading.series.source.provider) == (None, "meter")
    assert not any("/observed" in url for url in here.asked)


@pytest.mark.parametrize("forecaster", ["service"])
def test_the_service_alone_when_it_is_asked_for(forecaster):
    here = world(forecaster=forecaster)
    here.foretold = lambda now_at: np.full(6, 100.0)
    assert foresee(here.query(), sources=here.sources).own is None


def test_a_time_that_has_passed_is_not_forecast():
    here = world()
    query = replace(here.query(), start_at=NOW - 5 * HOUR, end_at=NOW - 2 * HOUR, purpose="observed")
    assert foresee(query, sources=here.sources).series.kind == "observed"


def test_a_short_forecast_of_the_service_is_mixed_in_and_extended():
    here = world()
    here.foretold = lambda now_at: np.full(6, 50.0)
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == "blend(meter,lpr)"
    assert "half and half, 0 past forecasts are too few to learn from" in reading.own.note
    alone = foresee(here.query(), sources=replace(here.sources, foresight=Foresight(forecaster="lpr"))).series
    assert reading.series.values[8:].tolist() == alone.values[8:].tolist()
    assert (reading.series.values[1:6] != alone.values[1:6]).all()


def taught(foretold, *, days: int = 8, more: int = 16) -> tuple[Grid, list, list]:
    """Hourly questions for some days, each forecast of the service archived; then mixed and own forecasts of the days after."""
    here = world(forecaster="blend", now_at=NOW - timedelta(days=days))
    here.foretold = lambda now_at: foretold(here, now_at)
    for _ in range(days * 24):
        payload = here.fetch(METER.requests(here.query(), None)[0])
        here.archive.keep("meter", here.query(), (payload,))
        here.clock.wait_until(here.clock.now() + HOUR)
    mixed, own = [], []
    for _ in range(more):
        mixed.append(foresee(here.query(), sources=here.sources))
        own.append(foresee(here.query(), sources=replace(here.sources, foresight=Foresight(forecaster="lpr"))))
        here.clock.wait_until(here.clock.now() + 6 * HOUR)
    return here, mixed, own


def miss(here: Grid, readings: list) -> float:
    """Mean absolute error of logarithms."""
    errors = []
    for reading in readings:
        first = (reading.series.start_at - here.first_at) // HOUR
        came = here.values[first : first + len(reading.series)]
        errors.append(np.abs(np.log(reading.series.values / came)).mean())
    return float(np.mean(errors))


def truth(here: Grid, now_at) -> np.ndarray:
    first = (now_at - here.first_at) // HOUR
    return here.values[first : first + 30]


def test_an_adversary_costs_almost_nothing():
    here, mixed, own = taught(lambda here, now_at: 200**2 / truth(here, now_at))
    assert mixed[0].own.method == "blend(meter,lpr)"
    assert "learned on" in mixed[0].own.note
    assert miss(here, mixed) < 1.02 * miss(here, own)


def test_a_stale_source_costs_almost_nothing():
    here, mixed, own = taught(lambda here, now_at: truth(here, now_at - timedelta(days=5, hours=7)))
    assert miss(here, mixed) < 1.05 * miss(here, own)


def test_a_service_that_knows_is_believed():
    here, mixed, own = taught(truth)
    assert miss(here, mixed) < 0.5 * miss(here, own)


def test_weather_is_used_where_the_zone_has_points():
    wind = slow_noise(HOURS, 5)
    windy = Grid(grid(HOURS, wind=wind), first_at=FIRST)
    windy.wind = 20 + 3 * wind
    windy.foresight = replace(windy.foresight, weather=SKY)
    told = foresee(windy.query(), sources=windy.sources)
    assert told.own.method == "lpr+weather"
    blind = foresee(windy.query(), sources=replace(windy.sources, foresight=Foresight(forecaster="lpr")))
    assert miss(windy, [told]) < miss(windy, [blind])
    asked = [url for url in windy.asked if "sky" in url]
    windy.clock.wait_until(NOW + timedelta(minutes=30))
    foresee(windy.query(), sources=windy.sources)
    assert [url for url in windy.asked if "sky" in url] == asked
    windy.clock.wait_until(NOW + 2 * HOUR)
    foresee(windy.query(), sources=windy.sources)
    assert [url for url in windy.asked if "sky" in url] == [*asked, asked[-1]]


def test_the_forecast_with_weather_is_made_again_only_when_something_came(monkeypatch: pytest.MonkeyPatch):
    made, make = [], forecasting.forecast_with_weather
    monkeypatch.setattr(forecasting, "forecast_with_weather", lambda *of: made.append(of) or make(*of))
    here = world()
    here.wind = 20 + 3 * slow_noise(HOURS, 5)
    here.foresight = replace(here.foresight, weather=SKY)
    query = here.query()

    def at(minutes: int) -> tuple[float, int]:
        here.clock.wait_until(NOW + timedelta(minutes=minutes))
        told = foresee(replace(query, start_at=here.clock.now(), now_at=here.clock.now()), sources=here.sources)
        return told.series.at(query.end_at - HOUR), len(made)

    (first, one), (same, still_one), (later, two) = at(0), at(30), at(60)
    assert (one, still_one, two) == (1, 1, 2)
    assert first == same != later


def test_the_first_long_read_is_told_of_and_the_next_is_short():
    here, told = world(), []
    here.wind = slow_noise(HOURS, 5) + 20
    here.foresight = replace(here.foresight, weather=SKY)
    sources = telling(here.sources, lambda *said: told.append(said))
    foresee(here.query(), sources=sources)
    parts = sum("/observed" in url for url in here.asked)
    assert parts > 10
    assert told == [
        *(("reading the past of GB from meter", done, parts) for done in range(parts)),
        ("reading the weather of GB from sky", 0, 2),
    ]
    here.clock.wait_until(NOW + HOUR)
    foresee(here.query(), sources=sources)
    assert len(told) == parts + 1


def test_weather_that_is_away_is_said():
    here = world()
    here.foresight = replace(here.foresight, weather=SKY)
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == "lpr"
    assert reading.fallback_reason == "without weather: sky: no weather today"


def test_a_zone_without_points_is_forecast_without_a_word():
    here = world()
    here.foresight = replace(here.foresight, weather=replace(SKY, points_of=lambda _payload, _zone: ()))
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own.method, reading.fallback_reason) == ("lpr", None)


def test_a_moment_is_replayed_by_what_it_was_planned_on():
    here = world()
    here.foresight = replace(here.foresight, weather=SKY)
    here.wind = slow_noise(HOURS, 5) + 20
    planned = foresee(here.query(), sources=here.sources)
    here.clock.wait_until(NOW + timedelta(days=3))
    here.values = here.values * 2
    here.network, here.asked = False, []
    here.restarted()
    again = foresee(planned.query, sources=here.sources)
    assert again.series.values.tolist() == planned.series.values.tolist()
    assert again.own.method == "lpr+weather"
    # Another forecaster, or a moment at which none was made: made anew from what the archive held then.
    for sources, query in (
        (replace(here.sources, foresight=Foresight(forecaster="lpr")), planned.query),
        (here.sources, replace(planned.query, now_at=NOW + HOUR, start_at=NOW + HOUR)),
    ):
        anew = foresee(query, sources=sources)
        assert anew.own.method == sources.foresight.forecaster.replace("auto", "lpr+weather")
        assert anew.step == "fresh-archive"
    assert here.asked == []


def test_a_dead_service_leaves_the_archive_to_forecast_from():
    here = world()
    foresee(here.query(), sources=here.sources)
    here.down = True
    here.restarted()
    here.clock.wait_until(NOW + timedelta(hours=30))
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own.method, reading.step) == ("lpr", "old-archive")
    here.clock.wait_until(NOW + timedelta(days=3))
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.series, reading.own) == (None, None)
    reading = foresee(here.query(), sources=replace(here.sources, foresight=Foresight(forecaster="lpr")))
    assert "is known up to 2022-05-03T09:00Z only" in reading.fallback_reason


def test_a_history_file_is_forecast_from():
    here = world(3)
    whole = replace(series(grid(HOURS, seed=3)[: DAYS * 24], start_at=FIRST), source=SOURCE)
    here.fetch = file_beside(here.fetch)
    here.foresight = replace(here.foresight, file=FILE, read_file=lambda _payload, zone: (replace(whole, zone=zone),))
    here.foretold = lambda now_at: np.full(48, 150.0)
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == "blend(meter,lpr)"
    assert reading.own.note.startswith("100 days of history")
    assert any(here.archive.payload(sha256).url == FILE.url for sha256 in reading.own.input_sha256s)
    assert foresee(here.query(), sources=here.sources).series.values.tolist() == reading.series.values.tolist()
    here.restarted()
    assert foresee(here.query(), sources=replace(here.sources, archive=None)).own.method == "blend(meter,lpr)"
    here.restarted()
    here.archive.failure = StoreError("the disk is full")
    assert "the disk is full" in foresee(here.query(), sources=here.sources).fallback_reason
    unlike = replace(whole, step=timedelta(minutes=30))
    here.foresight = replace(here.foresight, kept={}, read_file=lambda _payload, _zone: (unlike, unlike))
    assert "cannot make one history of different step" in foresee(here.query(), sources=here.sources).fallback_reason


def file_beside(fetch):
    return lambda request: (
        Payload(url=FILE.url, body=b"x", sha256="f" * 64, fetched_at=NOW) if request == FILE else fetch(request)
    )


def test_a_file_alone_is_never_read_beyond_now():
    here = world()
    whole = series(here.values, start_at=FIRST)
    here.fetch = file_beside(here.fetch)
    here.foresight = Foresight(forecaster="lpr", file=FILE, asks=False, read_file=lambda _payload, _zone: (whole,))
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own.method, reading.step, here.asked) == ("lpr", "live", [])
    zone = replace(here.query(), zone="XX")
    here.foresight = replace(here.foresight, asks=True, kept={}, read_file=lambda _payload, zone: (replace(whole, zone=zone),))
    assert foresee(zone, sources=here.sources).own.method == "lpr"
    with pytest.raises(ProviderRefused, match="no live source covers the zone XX"):
        foresee(zone, sources=here.sources, require_live=True)
    here.foresight = Foresight(forecaster="lpr")
    with pytest.raises(UnknownZone):
        foresee(zone, sources=here.sources)


def test_a_plug_in_forecasts_without_an_interval():
    def flat(history, horizon):
        count = 1 + -(-horizon // history.like.step)
        return replace(history.like, start_at=history.end_at - HOUR, values=np.full(count, 123.0), kind="forecast")

    here = world(forecaster="flat")
    here.foresight = replace(here.foresight, make=flat)
    reading = foresee(here.query(), sources=here.sources)
    assert (reading.own.method, reading.own.low, set(reading.series.values)) == ("flat", None, {123.0})
    late = replace(here.foresight, make=lambda history, _h: replace(history.like, start_at=NOW + 9 * HOUR, values=[1.0]))
    reading = foresee(here.query(), sources=replace(here.sources, foresight=late))
    assert "no forecast of our own: it does not hold" in reading.fallback_reason


def test_a_broken_archive_costs_no_forecast():
    here = world()
    here.archive.failure = StoreError("the disk is full")
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.method == "lpr"
    assert "archive: the disk is full" in reading.fallback_reason
    nowhere = replace(here.sources, archive=None, foresight=Foresight(forecaster="blend", weather=SKY))
    here.foretold, here.wind = (lambda now_at: np.full(6, 100.0)), slow_noise(HOURS, 5) + 20
    assert foresee(here.query(), sources=nowhere).own.method == "blend(meter,lpr+weather)"


def test_a_service_failing_halfway_leaves_what_it_has_told():
    here = world()
    fetch = here.fetch

    def sometimes(request):
        if sum("/observed" in url for url in here.asked) >= 3 and "/observed" in request.url:
            raise ProviderUnavailable("too many requests")
        return fetch(request)

    here.fetch = sometimes
    reading = foresee(here.query(), sources=here.sources)
    assert reading.own.note.startswith("84 days of history")
    assert "history of meter: too many requests" in reading.fallback_reason


def test_what_is_at_hand_is_said_without_asking():
    here = world()
    here.foresight = replace(here.foresight, weather=SKY)
    assert at_hand("GB", here.sources, NOW) == "no measured past of GB is at hand; weather is read when needed"
    here.wind = slow_noise(HOURS, 5) + 20
    foresee(here.query(), sources=here.sources)
    here.asked.clear()
    here.restarted()
    assert at_hand("GB", here.sources, NOW) == "100 days of history, up to 2022-05-03 09:00 UTC; weather of 1 points"
    assert at_hand("XX", here.sources, NOW).endswith("no weather points are known")
    assert here.asked == []


def test_what_cannot_be_read_of_the_archive_is_said_and_passed_over():
    here = world()
    here.foretold = lambda now_at: np.full(6, 100.0)
    asked = here.query()
    for hours in (1, 2, 90 * 24):
        when = NOW - hours * HOUR
        payload = Payload(url="https://grid.invalid/forecast", body=NOTHING, sha256=f"{hours}", fetched_at=when)
        here.archive.keep("meter", replace(asked, now_at=when), (payload,))
    reading = foresee(here.query(), sources=here.sources)
    assert "half and half, 0 past forecasts" in reading.own.note

    def torn(*_asked):
        raise StoreError("the archive is torn")

    here.restarted()
    here.archive.answers = torn
    reading = foresee(here.query(), sources=replace(here.sources, foresight=Foresight(forecaster="lpr")))
    assert "archive: the archive is torn" in reading.fallback_reason


def test_a_service_whose_hours_we_do_not_forecast_moves_nothing():
    here = world()
    here.foretold = lambda now_at: np.full(6, 100.0)
    reading = foresee(here.query(), sources=here.sources)
    own = Outlook(series=reading.series, method="lpr")
    elsewhere = series(np.full(5, 90.0), start_at=NOW + timedelta(days=30))
    weights = Weights(by_lead_share=np.full(24, 0.5), taught=0)
    assert mixed(own, elsewhere, weights) is own


def revised(here: Grid, factor: float, *, days: int, when) -> None:
    """An archived answer that says other values of the last days than the grid has."""
    query = replace(here.query(), start_at=when - timedelta(days=days), end_at=when, now_at=when, purpose="observed")
    first_at = query.start_at.replace(minute=0)
    hours = [at for at in (first_at + HOUR * number for number in range(days * 24)) if at >= here.first_at]
    points = [(at.isoformat(), here.at(at) * factor) for at in hours]
    body = json.dumps({"kind": "observed", "points": points}).encode()
    payload = Payload(url="https://grid.invalid/observed", body=body, sha256=f"{factor}", fetched_at=when)
    here.archive.keep("meter", query, (payload,))


def test_what_was_read_later_counts_where_answers_overlap():
    here = world()
    here.down = True
    revised(here, 7.0, days=1200, when=NOW - timedelta(days=2))
    revised(here, 1.0, days=30, when=NOW - timedelta(hours=1))
    revised(here, 5.0, days=90, when=NOW - timedelta(days=1))
    alone = replace(here.sources, network=False, foresight=Foresight(forecaster="seasonal", make=lambda past, _h: last_of(past)))
    reading = foresee(here.query(), sources=alone)
    assert (reading.series.values < 5 * here.values.min()).all()


def last_of(past):
    """The last day of the past, said again."""
    return replace(past.like, start_at=NOW.replace(minute=0), values=past.values_g_per_kwh[-24:][::-1], kind="forecast")


def test_a_damaged_record_is_refused():
    here = world()
    document = json.loads(foresee(here.query(), sources=here.sources).payloads[0].body)
    newer = json.dumps({**document, "schema": "greenai.own-forecast/9"}).encode()
    for body in (b"[]", b"{}", b'{"schema": 1}', b"nothing", newer):
        with pytest.raises(ProviderBadData, match="own forecast"):
            parsed(Payload(url="forecast:lpr", body=body, sha256="0", fetched_at=NOW))
    assert OWN
    assert issubclass(SeriesError, ValueError)
