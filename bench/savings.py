"""What is saved of what could be: fraction of oracle by zone, scenario and forecaster, re-planned every hour.

    python bench/savings.py [--zones GB DE-LU] [--years 2022 2023] [--refit-h 168] [--json FILE]

Reads ../shared/data (hourly, weather, forecast_actual) where it is there. Six scenarios (length/slack in hours): 1/24,
4/24, 12/24, 4/48 contiguous; 12/24, 24/48 interruptible. The first year only teaches. Settings were chosen on 2022.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from greenai.logic import backtesting, blending, skill
from greenai.logic import forecasting_weather as weather_logic
from greenai.logic.forecasting import fit, forecast_with
from greenai.logic.forecasting_lpr import Rows, rolling, rows_of
from greenai.logic.forecasting_profile import log_of, seasonal_naive
from greenai.logic.history import history_of
from greenai.model.series import FloatArray, IntensitySeries, Source
from greenai.model.weather import WeatherPoint, WeatherSeries

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
YEAR_H, LEADS, REACH_H = 8760, 72, 24
FIRST_AT = datetime(2021, 1, 1, tzinfo=UTC)
GRIDS = ("CISO", "DE", "ERCO", "ES", "PJM", "SE")
NAMES = ("1/24", "4/24", "12/24", "4/48", "12/24 i", "24/48 i")
RULES = ("threshold-200", "percentile-past-week")


def column(path: Path, *places: int) -> FloatArray:
    """Columns of a CSV file with a header."""
    return np.genfromtxt(path, delimiter=",", skip_header=1, usecols=places)


def source(path: Path) -> Source:
    """Where a bench series came from."""
    return Source(provider="csv", url=path.name, fetched_at=FIRST_AT, payload_sha256="")


def first_hour(at: datetime) -> int:
    """Hours since 1970."""
    return int(at.timestamp() // 3600)


def city(zone: str, hours: int) -> WeatherSeries:
    """The one city's weather of a zone."""
    path = DATA / "weather" / f"{zone}.csv"
    temperature, humidity, cloud, wind = column(path, 1, 2, 3, 4)[:hours].T
    point = WeatherPoint(
        zone=zone, name="city", latitude_degrees=0, longitude_degrees=0, wind_share=1, solar_share=1, demand_share=1
    )
    return WeatherSeries(
        zone=zone, start_at=FIRST_AT, points=(point,), wind_km_per_h=wind[None], cloud_percent=cloud[None],
        temperature_c=temperature[None], humidity_percent=humidity[None], source=source(path),
    )  # fmt: skip


def forecasts(zone: str, actual: FloatArray, begin: int, refit_h: int) -> Iterator[tuple[str, FloatArray]]:
    """Name and matrix (n, LEADS) of each forecaster from hour `begin` to the end of `actual`."""
    n = len(actual)
    rows = rows_of(log_of(actual), np.ones(n, dtype=bool), first_hour=first_hour(FIRST_AT), leads=LEADS)
    refits = list(range(begin, n, refit_h))
    yield "seasonal-naive", finished(seasonal_naive(log_of(actual), LEADS)[begin:], actual[begin:])
    yield "lpr", finished(rolling(rows, refits, n), actual[begin:])
    if (DATA / "weather" / f"{zone}.csv").exists():
        yield "lpr+weather", finished(weathered(zone, rows, refits, n), actual[begin:])


def weathered(zone: str, rows: Rows, refits: list[int], n: int) -> FloatArray:
    """Log forecasts with the city's weather, known 24 h ahead and not one hour further."""
    known = weather_logic.anomalies(weather_logic.columns(city(zone, n)), first_hour(FIRST_AT))
    return weather_logic.rolling_with_weather(rows, known, refits, end=n, reach=REACH_H)


def finished(log_g: FloatArray, actual: FloatArray) -> FloatArray:
    """Grams from logs, the current hour as measured."""
    seen = np.exp(np.clip(log_g, 0, 8))
    seen[:, 0] = actual
    return seen


def zone_year(zone: str, year: int, refit_h: int) -> list[dict[str, Any]]:
    """All rows of the contract for one zone and year."""
    actual = column(DATA / "hourly" / f"{zone}.csv", 1)
    begin = (year - 2021) * YEAR_H
    if len(actual) < begin + YEAR_H:
        return []
    actual = actual[: begin + YEAR_H + LEADS]
    out: list[dict[str, Any]] = []
    for name, seen in forecasts(zone, actual, begin, refit_h):
        ground = backtesting.Ground(
            zone=zone, actual=actual[begin:], seen=seen, before=actual[:begin], arrivals=YEAR_H, forecaster=name
        )
        policies = ("rolling", "once", "lowest-slot", *RULES) if name == "seasonal-naive" else ("rolling", "once")
        rows = [backtesting.backtest(ground, scenario, policy) for policy in policies for scenario in backtesting.SIX]
        judged = skill.by_lead(log_of(seen), log_of(actual[begin:])) if name != "seasonal-naive" else None
        out += [{**row, "year": year, "slope_1h": judged and judged.slope.item(1)} for row in rows]
    return out


def label(row: dict[str, Any]) -> str:
    """The line a row belongs to: rules without a forecast go by their own name."""
    return row["policy"] if row["policy"] in RULES else f"{row['forecaster']}, {row['policy']}"


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over zones (each zone's years averaged first) and the minimum over zones, by scenario."""
    table: list[dict[str, Any]] = []
    zones = sorted({row["zone"] for row in rows})
    for name in dict.fromkeys(label(row) for row in rows):
        mine = [row for row in rows if label(row) == name]
        scores = np.array([scenario_scores([row for row in mine if row["zone"] == zone]) for zone in zones])
        means, least = scores.mean(axis=0), scores.min(axis=0)
        line: dict[str, Any] = {"forecast_and_policy": name}
        line |= {key: f"{mean:.3f} ({low:.2f})" for key, mean, low in zip(NAMES, means, least, strict=True)}
        line |= {"mean": round(float(means.mean()), 4), "mean_of_minima": round(float(least.mean()), 4)}
        least_saving = min(row["saving"] for row in mine)
        late = sum(row["deadline_misses"] for row in mine)
        table.append({**line, "least_saving_of_a_zone_year_percent": round(100 * least_saving, 2), "late": late})
    return table


def scenario_scores(rows: list[dict[str, Any]]) -> list[float]:
    """Fraction of oracle of one zone, a number per scenario, its years averaged."""
    keys = [(s.length, s.slack, s.interruptible) for s in backtesting.SIX]
    scores: dict[tuple[float, float, bool], list[float]] = {key: [] for key in keys}
    for row in rows:
        scores[row["duration_h"], row["slack_h"], row["interruptible"]].append(row["fraction_of_oracle"])
    return [float(np.mean(scores[key])) for key in keys]


def by_zone(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each zone-year's mean of six, rolling, by forecaster."""
    table = []
    for zone, year in dict.fromkeys((row["zone"], row["year"]) for row in rows):
        line: dict[str, Any] = {"zone": zone, "year": year}
        for name in ("seasonal-naive", "lpr", "lpr+weather"):
            mine = [r for r in rows if (r["zone"], r["year"], r["forecaster"], r["policy"]) == (zone, year, name, "rolling")]
            line[name] = round(float(np.mean([row["fraction_of_oracle"] for row in mine])), 3) if mine else None
            line |= {"lpr_slope_1h": round(mine[0]["slope_1h"], 2)} if name == "lpr" else {}
        table.append(line)
    return table


def grid_blend(grid: str) -> dict[str, Any]:
    """Means of six on a grid with real daily forecasts: the service's, our own, and the blend."""
    folder = DATA / "forecast_actual"
    actual = column(folder / f"{grid}_2020_2021_actual.csv", 1)
    issued = column(folder / f"{grid}_2021H2.csv", 2).reshape(-1, 96)
    begin = (datetime(2021, 7, 1, tzinfo=UTC) - datetime(2020, 1, 1, tzinfo=UTC)) // timedelta(hours=1)
    n, leads = len(issued) * 24, LEADS + 1
    rows = rows_of(
        log_of(actual), np.ones(len(actual), dtype=bool), first_hour=first_hour(datetime(2020, 1, 1, tzinfo=UTC)), leads=leads
    )
    own = rolling(rows, list(range(begin, begin + n, 168)), begin + n)
    own[:, 0] = log_of(actual[begin : begin + n])
    service = np.stack([log_of(issued[hour // 24, hour % 24 : hour % 24 + leads]) for hour in range(n)])
    near = blending.anchored(service, own[:, 0])
    came = (rows.targets + rows.base_log)[begin : begin + n]
    found: dict[str, Any] = {"grid": grid}
    for name, log_g in (
        ("service", service), ("service, anchored", near), ("lpr", own), ("half and half", (own + near) / 2),
        ("blend", blending.rolling_blend(own, near, came)),
    ):  # fmt: skip
        ground = backtesting.Ground(
            zone=grid, actual=actual[begin : begin + n], seen=finished(log_g, actual[begin : begin + n]),
            before=actual[:begin], arrivals=n, forecaster=name,
        )  # fmt: skip
        scores = [backtesting.backtest(ground, scenario, "rolling")["fraction_of_oracle"] for scenario in backtesting.SIX]
        found[name] = round(float(np.mean(scores)), 3)
    return found


def year_timings() -> list[dict[str, Any]]:
    """Seconds to forecast every hour of GB's 2022, and to play the six scenarios on it, once; and what 16 zones come to."""
    actual = column(DATA / "hourly" / "GB.csv", 1)[: 2 * YEAR_H + LEADS]
    rows, begun_s = [], time.perf_counter()
    for name, seen in forecasts("GB", actual, YEAR_H, 168):
        made_s = time.perf_counter() - begun_s
        ground = backtesting.Ground(
            zone="GB", actual=actual[YEAR_H:], seen=seen, before=actual[:YEAR_H], arrivals=YEAR_H, forecaster=name
        )
        begun_s = time.perf_counter()
        for scenario in backtesting.SIX:
            backtesting.backtest(ground, scenario, "rolling")
        played_s = time.perf_counter() - begun_s
        found = {"forecast_s": made_s, "six_scenarios_s": played_s, "sixteen_zones_min": 16 * (made_s + played_s) / 60}
        rows.append({"forecaster": name, **{key: round(value, 2) for key, value in found.items()}})
        begun_s = time.perf_counter()
    return rows


def timings() -> list[dict[str, Any]]:
    """Seconds of processor time of a fit on two years and of a forecast, medians of ten."""
    values = column(DATA / "hourly" / "GB.csv", 1)[: 2 * YEAR_H]
    series = IntensitySeries(start_at=FIRST_AT, step=timedelta(hours=1), values=values, zone="GB", source=source(DATA / "GB.csv"))
    history, horizon = history_of(series), timedelta(hours=48)
    model = fit(history, horizon)
    rows = []
    for what, once in (
        ("lpr: fit on two years, with its error quantiles", lambda: fit(history, horizon)),
        ("lpr: forecast of 48 h from a fitted model", lambda: forecast_with(model, history, horizon)),
    ):
        spent = []
        for _ in range(10):
            wall_s, begun_s = time.perf_counter(), time.process_time()
            once()
            spent.append((1e3 * (time.process_time() - begun_s), 1e3 * (time.perf_counter() - wall_s)))
        cpu, wall = np.median(spent, axis=0)
        rows.append({"what": what, "processor_ms": round(float(cpu), 2), "wall_ms": round(float(wall), 2)})
    return rows


def main() -> None:
    """Play, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zones", nargs="*")
    parser.add_argument("--years", nargs="*", type=int, default=[2022, 2023])
    parser.add_argument("--refit-h", type=int, default=168)
    parser.add_argument("--rows", type=Path, help="write every row of the contract here")
    parser.add_argument("--json", type=Path, help="write the tables here too")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"nothing to play: {DATA.name} is not beside the checkout (see bench/README.md)")
        if options.json:
            options.json.write_text('{"": [{"what": "no data beside the checkout, not run"}]}', encoding="utf-8")
        return
    zones = options.zones or sorted(path.stem for path in (DATA / "hourly").glob("*.csv"))
    rows: list[dict[str, Any]] = []
    for zone in zones:
        for year in options.years:
            rows += zone_year(zone, year, options.refit_h)
        print(f"{zone}: {by_zone([row for row in rows if row['zone'] == zone])}", flush=True)
    tables = {"Fraction of oracle, mean (minimum) over zones": summary(rows), "By zone and year": by_zone(rows)}
    tables["A year of one zone, wall clock"] = year_timings()
    tables |= {"With a service's daily forecasts": [grid_blend(grid) for grid in GRIDS], "Timings": timings()}
    for title, lines in tables.items():
        print(f"\n{title}", *lines, sep="\n")
    for path, content in ((options.json, tables), (options.rows, rows)):
        if path:
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
