"""The evidence commands: what is shown, and what the exit code says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.cli import fakes
from tests.cli.conftest import Cli, FakeApi

from greenai.errors import EvidenceDamaged, InputError

CARD = f"""\
0.100 Wh, 0.0264 g CO2e: run {fakes.RUN_ID}, claimable
  command  python train.py
  started  Tue 24 Nov 2026 17:44 CET (16:44 UTC)
  ended    Tue 24 Nov 2026 17:44 CET (16:44 UTC) after 20.5 s, exit code 0

  part  job                          machine  of it idle  meter           grade
  cpu   0.100 Wh [0.0950 to 0.105]  0.139 Wh       100 J  rapl:package-0  measured:counter

  energy     0.100 Wh [0.0950 to 0.105], measured:counter; 0.120 Wh with the building's overhead
  CO2        0.0264 g [0.0251 to 0.0277], at 220 g/kWh (uk, observed, GB)
  embodied   not stated (setting embodied_kg)
  water      not stated (setting wue_l_per_kwh)
  SCI        not known: it needs the embodied share and the intensity (R is one run)
  intensity  GB: uk, observed, average, direct

  at once    0.0528 g
  at random  0.0400 g
  saving     0.0264 g [0.0251 to 0.0277], 50 % of starting at once
  verdict    claimable

  record    cdcdcdcdcdcd, the first record
  check it  greenai evidence verify
"""


def test_the_card(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_show", fakes.evidence())
    result = cli("evidence", "show", "last")
    assert result.out == CARD
    assert result.err == ""


def shown(cli: Cli, api: FakeApi, **changes: Any) -> str:
    api.answers("evidence_show", fakes.evidence(**changes))
    return cli("evidence", "show").out


def test_the_card_of_what_is_modelled_or_assumed_shouts(cli: Cli, api: FakeApi) -> None:
    parts = [fakes.component(quality="modelled"), fakes.component(component="gpu", quality="assumed", idle_j=None)]
    out = shown(cli, api, components=parts)
    assert "MODELLED" in out
    assert "ASSUMED; 0.120 Wh with" in out, "the whole is as good as its worst part"


def test_the_card_of_a_loss_calls_it_one(cli: Cli, api: FakeApi) -> None:
    out = shown(cli, api, saving_g=-0.01, saving_low_g=-0.02, saving_high_g=-0.005, verdict="not claimable: it is a loss")
    assert "saving     a loss: -0.0100 g [-0.0200 to -0.00500], -19 % of starting at once" in out
    assert "verdict    not claimable: it is a loss" in out


def test_the_card_of_provisional_evidence_says_what_completes_it(cli: Cli, api: FakeApi) -> None:
    missing = {"counterfactual_g": None, "saving_g": None, "saving_low_g": None, "saving_high_g": None, "random_start_g": None}
    out = shown(cli, api, provisional=True, verdict="not claimable: provisional", **missing)
    assert out.splitlines()[0].endswith(", provisional")
    assert out.count("not known yet") == 3
    assert "greenai evidence settle completes it" in out


def test_the_card_of_an_unknown_grid(cli: Cli, api: FakeApi) -> None:
    nothing = {"provider": None, "zone": "XX", "kind": None, "basis": None, "scope": None}
    out = shown(cli, api, operational_g=None, low_g=None, high_g=None, intensity=nothing)
    assert "CO2e unknown" in out
    assert "unknown: no intensity of the grid is known" in out
    assert "None" not in out


def test_the_card_of_what_was_stated(cli: Cli, api: FakeApi) -> None:
    sci = {"value_g": 1.5, "per": "epoch", "count": 10, "energy_kwh": 0.1, "intensity_g_per_kwh": 220, "embodied_g": 1.0}
    out = shown(cli, api, embodied_g=1.234, water_l=0.5, sci=sci)
    assert "embodied   1.23 g" in out
    assert "water      0.500 L" in out
    assert "SCI        1.50 g per epoch" in out


def test_the_card_of_a_run_whose_end_nobody_saw(cli: Cli, api: FakeApi) -> None:
    out = shown(cli, api, exit_code=None, ended_at="2026-11-24T16:44:15Z", components=[], it_kwh=0.0, facility_kwh=0.0)
    assert "its end was not seen" in out
    assert "ASSUMED" in out


def test_the_card_in_detail_has_whole_hashes(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_show", fakes.evidence(previous_sha256="12" * 32))
    out = cli("evidence", "show", "-v").out
    assert "cd" * 32 in out
    assert f"after {'12' * 32}" in out


def test_show_as_json_is_the_document(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_show", fakes.evidence())
    assert json.loads(cli("evidence", "show", "2026", "--json").out) == fakes.evidence()
    assert api.calls[0][1] == ("2026",)


def test_show_of_an_unknown_run_is_exit_2(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_show", InputError("no run begins with 'x'", hint="greenai evidence list shows the run ids"))
    result = cli("evidence", "show", "x")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: no run begins with 'x'\nhint: greenai evidence list shows the run ids\n"


def test_the_list(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_list", [fakes.evidence(), fakes.evidence(provisional=True, saving_g=None)])
    when = "Tue 17:44 CET (16:44 UTC)"
    assert cli("evidence", "list").out.splitlines() == [
        "  run                          energy       CO2    saving  verdict      started                    command",
        f"  {fakes.RUN_ID}  0.100 Wh  0.0264 g  0.0264 g  claimable    {when}  python train.py",
        f"  {fakes.RUN_ID}  0.100 Wh  0.0264 g   unknown  provisional  {when}  python train.py",
    ]


def test_a_narrow_list_leaves_out_what_does_not_fit(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    api.answers("evidence_list", [fakes.evidence(verdict="not claimable: it is a loss")])
    assert cli("evidence", "list").out.splitlines() == [
        "  run                          energy       CO2    saving  verdict",
        f"  {fakes.RUN_ID}  0.100 Wh  0.0264 g  0.0264 g  not claimable",
    ]


def test_a_long_command_is_cut_in_the_list(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_list", [fakes.evidence(command=["sh", "-c", "echo\n" * 30])])
    [line] = cli("evidence", "list").out.splitlines()[1:]
    assert line.endswith("sh -c 'echo echo echo echo echo echo ec…")


def test_an_empty_list_says_what_fills_it(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_list", [])
    result = cli("evidence", "list")
    assert (result.code, result.out) == (0, "no evidence yet\n")
    assert "greenai run" in result.err
    assert json.loads(cli("evidence", "list", "--json").out) == []


@dataclass(frozen=True)
class Report:
    """Stands for VerifyReport."""

    problems: tuple[str, ...] = ()
    records: int = 12
    evidences: int = 3
    notes: tuple[str, ...] = ()


def test_verify_says_what_holds(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", Report())
    result = cli("evidence", "verify", "a.csv")
    assert (result.code, result.out) == (0, "everything holds: 12 records, 3 of them evidence, every number recomputed\n")
    assert api.calls[0][1] == (("a.csv",),)


def test_verify_says_what_is_no_damage_on_stderr(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", Report(notes=("run x died and waits for settle",)))
    result = cli("evidence", "verify")
    assert (result.code, result.err) == (0, "note: run x died and waits for settle\n")


def test_verify_of_nothing(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", Report(records=0, evidences=0))
    assert cli("evidence", "verify").out == "nothing recorded yet\n"


def test_verify_names_each_problem_and_is_exit_5(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", Report(problems=("record 3: it_kwh is 1, the samples give 2",)))
    result = cli("evidence", "verify")
    assert result.code == 5
    assert result.out == "1 thing does not hold\n  record 3: it_kwh is 1, the samples give 2\n"
    api.answers("verify", Report(problems=("a", "b")))
    assert cli("evidence", "verify", "-q").out == "2 things do not hold\n  a\n  b\n"
    result = cli("evidence", "verify", "--json")
    assert result.code == 5
    assert json.loads(result.out) == {"ok": False, "records": 12, "evidences": 3, "problems": ["a", "b"], "notes": []}


def test_a_ledger_that_cannot_be_read_is_exit_5(cli: Cli, api: FakeApi) -> None:
    api.answers("verify", EvidenceDamaged("line 3 of the ledger is no record"))
    assert cli("evidence", "verify").code == 5


@dataclass(frozen=True)
class Settled:
    """Stands for SettleReport."""

    settled: tuple[dict[str, Any], ...] = ()
    recovered: tuple[str, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())


def test_settle_says_what_it_did_and_what_waits(cli: Cli, api: FakeApi) -> None:
    api.answers(
        "settle",
        Settled(
            settled=(fakes.evidence(),),
            recovered=("20261101T000000Z-dead",),
            waiting=(("20261124T180000Z-late", "no measured intensities for GB up to 18:00 yet"),),
            warnings=("the disk is nearly full",),
        ),
    )
    result = cli("evidence", "settle")
    assert result.code == 0
    assert result.out.splitlines() == [
        "recovered  20261101T000000Z-dead: it had ended without a word; what is known of it is recorded now",
        f"settled    {fakes.RUN_ID}: 0.0264 g, saving 0.0264 g, claimable",
        "waiting    20261124T180000Z-late: no measured intensities for GB up to 18:00 yet",
    ]
    assert result.err == "warning: the disk is nearly full\n"


def test_nothing_to_settle(cli: Cli, api: FakeApi) -> None:
    api.answers("settle", Settled())
    assert cli("evidence", "settle").out == "nothing to settle\n"
    assert json.loads(cli("evidence", "settle", "--json").out) == {"settled": [], "recovered": [], "waiting": [], "warnings": []}


@pytest.mark.parametrize("words", [["evidence"], ["evidence", "--help"]])
def test_the_group_lists_its_commands(cli: Cli, words: list[str]) -> None:
    result = cli(*words)
    assert result.code == 0
    assert all(name in result.out for name in ("list", "show", "verify", "settle", "export"))


def test_the_notes_of_the_evidence_are_shown(cli: Cli, api: FakeApi) -> None:
    out = shown(cli, api, notes=["no PUE was stated", "gap: the machine slept"])
    assert "  notes  no PUE was stated\n         gap: the machine slept\n" in out


def test_the_meters_that_were_not_taken_are_shown_in_detail(cli: Cli, api: FakeApi) -> None:
    inputs = {"rejected_meters": [{"name": "rapl", "component": "cpu", "reason": "permission denied", "remedy": "chmod it"}]}
    assert "permission denied" not in shown(cli, api, inputs=inputs)
    assert "not rapl  permission denied; chmod it" in cli("evidence", "show", "-v").out


def test_the_card_of_a_run_without_samples(cli: Cli, api: FakeApi) -> None:
    out = shown(
        cli,
        api,
        components=[],
        it_kwh=None,
        facility_kwh=None,
        operational_g=None,
        intensity=None,
        started_at=None,
        ended_at=None,
        verdict="not claimable: there are no samples",
    )
    assert "energy     unknown: there are no samples" in out
    assert "CO2        unknown: there are no samples" in out
    assert "started  unknown" in out
    assert "None" not in out
    api.answers("evidence_list", [fakes.evidence(started_at=None, it_kwh=None)])
    assert "unknown" in cli("evidence", "list").out


def whole() -> dict[str, Any]:
    """An evidence document with all that a row of evidence.csv is made from."""
    inputs = {
        "labels": {"phase": "run", "task": "fit"},
        "machine": {"cpu": "a CPU"},
        "place": {"zone": "GB", "pue": 1.2},
        "step": "live",
        "threshold_g_per_kwh": None,
        "simulated": False,
        "version": "0.1.0",
    }
    more = {"quality": {"energy": "measured:counter"}, "ranges": {"facility_kwh": [0.1, 0.2]}, "claim": {"deferred_s": 0.0}}
    return fakes.evidence(inputs=inputs, notes=[], **more)


def test_export_writes_the_rows_of_evidence_csv(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_list", [whole(), whole()])
    lines = cli("evidence", "export").out.splitlines()
    assert lines[0].startswith("run_id,phase,task,dataset,hardware,region,timestamp_utc,kWh,kgCO2e,water_L,runtime_s,")
    assert [line.split(",")[0] for line in lines[1:]] == [fakes.RUN_ID, fakes.RUN_ID]


def test_export_writes_json_and_json_lines(cli: Cli, api: FakeApi) -> None:
    api.answers("evidence_list", [whole(), whole()])
    assert json.loads(cli("evidence", "export", "--format", "json").out) == [whole(), whole()]
    assert cli("evidence", "export", "--json").out == cli("evidence", "export", "--format", "json").out
    lines = cli("evidence", "export", "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == [whole(), whole()]


def test_export_to_a_file(cli: Cli, api: FakeApi, corner: Path) -> None:
    api.answers("evidence_list", [whole()])
    result = cli("evidence", "export", "--out", "all.csv")
    assert result.out == "wrote all.csv: 1 runs\n"
    assert (corner / "all.csv").read_text(encoding="utf-8").count("\n") == 2
    said = json.loads(cli("evidence", "export", "--json", "--format", "jsonl", "--out", "all.jsonl").out)
    assert said == {"written": "all.jsonl", "format": "jsonl", "evidences": 1}
    assert [path.name for path in corner.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "nowhere/all.csv"], "nowhere/all.csv cannot be written: No such file or directory"),
        (["--json", "--format", "csv"], "with --json stdout holds JSON, not csv"),
        (["--format", "xml"], "invalid value for '--format'"),
    ],
)
def test_what_cannot_be_exported(cli: Cli, api: FakeApi, words: list[str], message: str) -> None:
    api.answers("evidence_list", [whole()])
    result = cli("evidence", "export", *words)
    assert (result.code, result.out) == (2, "")
    assert f"error: {message}" in result.err
