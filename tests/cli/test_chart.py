from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.cli.fakes import START, series

from greenai.cli.chart import chart, columns_of, sparkline
from greenai.model.plan import Window

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Window(start_at=datetime(2026, 11, 25, 8, tzinfo=UTC), end_at=datetime(2026, 11, 25, 10, tzinfo=UTC))


def plain(lines: list[object]) -> list[str]:
    return [str(line) for line in lines]


def test_the_chart_of_two_days() -> None:
    assert plain(chart(series(), width=64, zone=BERLIN, windows=[NIGHT])) == [
        "   260 │▂▅▇███▆▄                ▂▅▇███▆▄",
        "       │█████████▅▁           ▃▇█████████▅▁           ▃▇",
        "       │███████████▅▂       ▃▇█████████████▅▂       ▃▇██",
        "       │█████████████▇▅▃▃▄▆██████████████████▇▅▃▃▄▆█████",
        "       │████████████████████████████████████████████████",
        "       │████████████████████████████████████████████████",
        "     0 ┼───────────────▲▲───────────────────────────────",
        "   CET  18    Wed   06    12    18    Thu   06    12",
        "   UTC  17    23    05    11    17    23    05    11",
    ]


def test_a_narrow_chart_puts_more_slots_into_a_column() -> None:
    lines = plain(chart(series(), width=32, zone=BERLIN, windows=[NIGHT]))
    assert max(len(line) for line in lines) <= 32
    assert "▲" in lines[6]


def test_without_unicode_the_window_is_still_marked() -> None:
    lines = plain(chart(series(), width=64, zone=UTC, windows=[NIGHT], unicode=False))
    assert lines[6] == "     0 +---------------^^-------------------------------"
    assert len(lines) == 8, "in UTC the hours are written once"
    assert all(line.isascii() for line in lines)


def test_half_hour_zones_label_whole_local_hours() -> None:
    lines = plain(chart(series(), width=64, zone=ZoneInfo("Asia/Kolkata")))
    assert lines[7].split()[:3] == ["IST", "Wed", "06"]
    assert lines[8].split()[:3] == ["UTC", "18:30", "00:30"]


def test_long_series_label_days() -> None:
    lines = plain(chart(series([100, 200] * 84, step=timedelta(hours=1)), width=50, zone=BERLIN))
    assert lines[-2].split() == ["CET", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon", "Tue"]


def test_very_long_series_label_every_other_day() -> None:
    lines = plain(chart(series([100] * 24 * 20, step=timedelta(hours=1)), width=60, zone=BERLIN))
    assert 5 <= len(lines[-2].split()) <= 12


def test_a_column_holds_the_mean_of_whole_slots() -> None:
    columns = columns_of(series([10, 30, 20, 40, 50]), 3)
    assert columns.values == (20, 30, 50)
    assert columns.starts_at[1] == START + timedelta(hours=1)


def test_bars_start_at_zero_so_a_flat_grid_is_flat() -> None:
    assert set(str(sparkline(series([300] * 48), 48))) == {"█"}


def test_a_zero_grid_is_drawn_empty_and_small_values_are_not_lost() -> None:
    assert str(sparkline(series([0] * 4), 4)).strip() == ""
    assert str(sparkline(series([0, 1, 500]), 3)) == " ▁█"


def test_a_window_shorter_than_a_column_is_marked() -> None:
    short = Window(start_at=START + timedelta(minutes=5), end_at=START + timedelta(minutes=10))
    assert "▲" in plain(chart(series(), width=64, zone=BERLIN, windows=[short]))[6]


@pytest.mark.parametrize("width", [12, 20, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= max(width, 20) for line in plain(chart(series(), width=width, zone=BERLIN, windows=[NIGHT])))
