"""now, forecast and plan: what is asked of the API, and what is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.cli import fakes
from tests.cli.conftest import Cli, FakeApi

from greenai.errors import NoFeasibleWindow


def test_now_answers_first(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    result = cli("now")
    assert result.code == 0
    assert result.err == ""
    assert result.out.splitlines() == [
        "220 gCO2e/kWh now in GB",
        "  range     100 to 260 g/kWh until Thu 17:30 CET (16:30 UTC); now is dirtier than 65 % of it",
        "  ahead     ▇███████▇▇▆▅▅▄▄▄▄▄▄▄▅▆▆▇▇███████▇▇▆▅▅▄▄▄▄▄▄▄▅▆▆▇",
        "  zone      GB, from the time zone Europe/Berlin; set another with --zone or GREENAI_ZONE",
        "  source    uk (live): forecast, average, direct emissions, issued Tue 17:30 CET (16:30 UTC), read just now",
        "  forecast  that of uk",
    ]


@pytest.mark.parametrize(("provider", "words"), [("csv", "file"), ("constant", "given number")])
def test_what_the_user_gave_is_not_called_live(cli: Cli, api: FakeApi, provider: str, words: str) -> None:
    given = fakes.series()
    api.answers("forecast", fakes.reading(source=replace(given.source, provider=provider), kind="observed", issued_at=None))
    out = cli("now").out
    assert f"  source  {words}: observed, average" in out
    assert "(live)" not in out
    assert json.loads(cli("now", "--json").out)["source"]["provider"] == provider


def test_quiet_is_the_answer_alone(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    assert cli("now", "-q").out == "220 gCO2e/kWh now in GB\n"


def test_verbose_says_what_would_be_read_again(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    out = cli("now", "-v").out
    assert "https://grid.example/fw48h" in out
    assert "ab" * 32 in out


def test_now_compares_itself_with_the_coming_day(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading(values=[50] + [100] * 95))
    assert "now is cleaner than 99 % of it" in cli("now").out
    api.answers("forecast", fakes.reading(values=[475] * 96))
    assert "it stays as it is now" in cli("now").out


@pytest.mark.parametrize(
    ("step", "word"),
    [
        ("fresh-archive", "ARCHIVED (the service did not answer)"),
        ("climatology", "MODELLED: the usual day of this season, not today's grid (the service did not answer)"),
        ("annual", "ANNUAL MEAN: flat, it can account but never justifies waiting (the service did not answer)"),
    ],
)
def test_what_is_not_live_is_labelled_loudly(cli: Cli, api: FakeApi, step: str, word: str) -> None:
    api.answers("forecast", fakes.reading(step=step, reason="the service did not answer"))  # type: ignore[arg-type]
    for command in ("now", "forecast"):
        assert word in cli(command).out.splitlines()[1]


def test_an_unknown_grid_is_exit_4(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading(step="none", reason="no source covers GB", known=False))
    for command in ("now", "forecast"):
        result = cli(command)
        assert (result.code, result.out) == (4, "")
        assert result.err.startswith("error: no source knows the intensity of zone GB: no source covers GB\nhint: ")


def test_now_passes_on_what_it_is_told(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    cli("now", "--zone", "gb-13", "--series", "x.csv", "--require", "live")
    assert api.asked["settings"].zone == "GB-13"
    assert (api.asked["series"], api.asked["require_live"]) == ("x.csv", True)


def test_now_as_json(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    result = cli("now", "--json")
    document = json.loads(result.out)
    assert result.err == ""
    assert document["slot"] == {"start_at": "2026-11-24T16:30:00Z", "end_at": "2026-11-24T17:00:00Z"}
    assert document["g_per_kwh"] == 220
    assert document["at"] == "2026-11-24T16:44:15Z"


def test_the_forecast_is_drawn(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    lines = cli("forecast", "--hours", "48").out.splitlines()
    assert lines[0] == "GB: 100 to 260 gCO2e/kWh in the next 2 d, lowest Wed 09:30 CET (08:30 UTC)"
    assert lines[2].startswith("   260 │")
    assert lines[9].split()[0] == "CET"
    assert api.asked["hours"] == 48


def test_the_forecast_takes_its_hours_from_the_settings(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_FORECAST_HOURS", "12")
    api.answers("forecast", fakes.reading())
    cli("forecast")
    assert api.asked["hours"] == 12


def test_the_forecast_as_json_has_every_slot(cli: Cli, api: FakeApi) -> None:
    api.answers("forecast", fakes.reading())
    document = json.loads(cli("forecast", "--json").out)
    assert len(document["slots"]) == 96
    assert document["slots"][1] == {"start_at": "2026-11-24T17:00:00Z", "end_at": "2026-11-24T17:30:00Z", "g_per_kwh": 229.0}


def test_the_plan_answers_first_then_draws_then_lists(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    result = cli("plan", "--duration", "2h", "--finish-by", "24h")
    lines = result.out.splitlines()
    assert lines[0] == "Wait 15 h 15 min, start Wed 25 Nov 2026 09:00 CET (08:00 UTC), saves about 56 %"
    assert lines[8].count("▲") > 0
    assert lines[12:16] == [
        "               start                      end    g/kWh  saving",
        "  chosen       Wed 09:00 CET (08:00 UTC)  11:00    101    56 %",
        "  alternative  Wed 09:30 CET (08:30 UTC)  11:30    102    56 %",
        "  now          Tue 17:44 CET (16:44 UTC)  19:44    231     0 %",
    ]
    assert lines[17] == "  why       waiting 15 h 15 min halves the intensity"
    assert lines[18] == "  job       2 h, done by Wed 25 Nov 2026 17:44 CET (16:44 UTC)"
    assert lines[19] == "  policy    greenest; 259 g/kWh if started at the worst moment"
    assert result.err == ""


def test_the_plan_passes_everything_on(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    cli(
        *("plan", "--duration", "2h", "--deadline", "fri 18:00", "--policy", "interruptible", "--min-saving", "5%"),
        *("--threshold", "150", "--percentile", "20", "--interruptible", "--min-chunk", "30m", "--resume-cost", "5m"),
        *("--max-segments", "3", "--series", "s.csv", "--at", "2026-11-24T09:00Z", "--require", "live", "--zone", "DE"),
    )
    asked = dict(api.asked)
    assert callable(asked.pop("tell"))
    assert asked.pop("settings").zone == "DE"
    assert asked == {
        "duration": "2h",
        "finish_by": None,
        "deadline": "fri 18:00",
        "policy": "interruptible",
        "min_saving": "5%",
        "threshold": 150.0,
        "percentile": 20.0,
        "interruptible": True,
        "min_chunk": "30m",
        "resume_cost": "5m",
        "max_segments": 3,
        "scaling": None,
        "worker_w": None,
        "shared_w": None,
        "hull": False,
        "series": "s.csv",
        "at": "2026-11-24T09:00Z",
        "require_live": True,
    }


def test_a_plan_without_a_limit_assumes_24_h_and_says_so(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    out = cli("plan", "--duration", "2h").out
    assert api.asked["finish_by"] == "24h"
    assert "assumed, set it with --finish-by or --deadline" in out


def test_a_plan_needs_a_duration(cli: Cli, api: FakeApi) -> None:
    result = cli("plan")
    assert result.code == 2
    assert result.err.startswith("error: plan needs to know how long the job takes: add --duration")


def test_a_plan_may_name_the_command_whose_past_runs_tell_its_length(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    assert cli("plan", "--label", "model=small", "--", "python", "train.py", "--duration", "3").code == 0
    assert (api.asked["command"], api.asked["labels"]) == (("python", "train.py", "--duration", "3"), {"model": "small"})


def test_a_command_whose_length_is_given_tells_nothing_more(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    assert cli("plan", "--duration", "2h", "--", "python", "train.py").code == 0
    assert "command" not in api.asked


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--label", "a=b"), "--label is about CMD"),
        (("--label", "a", "--", "true"), "a label is written KEY=VALUE, not 'a'"),
        (("--jobs", "jobs.csv", "--", "true"), "a command is about one job"),
        (("--", "python", "train.py"), "how long does python take? No run of it has completed here yet"),
        (("--places", "GB,DE", "--", "python", "train.py"), "how long does python take? No run of it has completed here yet"),
    ],
)
def test_a_command_that_tells_nothing_is_refused(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    result = cli("plan", *words)
    assert result.code == 2
    assert sentence in result.err


def test_running_now_says_why(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer(fakes.run_at_once()))
    lines = cli("plan", "--duration", "2h").out.splitlines()
    assert lines[:2] == ["Run now, at 231 gCO2e/kWh", "not worth waiting: 1.2 % is less than 3 %"]


def test_a_job_that_does_not_fit_is_exit_3(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer(fakes.decision(action="miss", reason="9 h do not fit into 3 h")))
    result = cli("plan", "--duration", "9h", "--finish-by", "3h")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("error: 9 h do not fit into 3 h\nhint: ")
    api.answers("plan", NoFeasibleWindow("9 h do not fit", hint="3 h would"))
    assert cli("plan", "--duration", "9h").code == 3


def test_a_plan_on_an_unknown_grid_runs_now_without_a_picture(cli: Cli, api: FakeApi) -> None:
    blind = fakes.decision(
        action="run",
        windows=fakes.run_at_once().windows,
        at_once_g_per_kwh=None,
        expected_g_per_kwh=None,
        worst_g_per_kwh=None,
        expected_saving=0.0,
        alternatives=(),
        reason="nothing is known of the grid",
    )
    api.answers("plan", fakes.Answer(blind, fakes.reading(step="none", reason="no source covers XX", known=False)))
    result = cli("plan", "--duration", "2h")
    assert result.code == 0
    assert result.out.splitlines()[:3] == [
        "Run now",
        "nothing is known of the grid",
        "UNKNOWN: nothing is known of this grid (no source covers XX)",
    ]
    assert "│" not in result.out


def test_the_plan_as_json_is_the_documented_contract(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    assert json.loads(cli("plan", "--duration", "2h", "--json").out) == {"action": "wait"}


def test_a_narrow_terminal_folds_nothing_beyond_its_width(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "48")
    api.answers("plan", fakes.Answer())
    api.answers("forecast", fakes.reading())
    for words in (["plan", "--duration", "2h"], ["now"], ["forecast"]):
        lines = cli(*words).out.splitlines()
        assert max(len(line) for line in lines) <= 48, words


def test_without_utf_8_bars_are_ascii(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    api.answers("forecast", fakes.reading())
    from greenai.cli import main

    assert main(["forecast"]) == 0
    assert b"#" in sys.stdout.buffer.getvalue()  # type: ignore[attr-defined]
