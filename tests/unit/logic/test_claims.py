"""One case that may be claimed, and every way to lose the claim, the most important reason first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.evidence_world import HOUR, series

from greenai.logic.claims import Case, relative_only, verdict
from greenai.model.footprint import Estimate

GOOD = Case(
    exit_code=0,
    simulated=False,
    zone="GB",
    quality="measured:counter",
    samples_kept=True,
    gaps=(),
    deferred=5 * HOUR,
    series=series([100.0]),
    provisional=False,
    saving_g=Estimate(value=20.0, low=15.0, high=25.0),
)

LOST = [
    ({"exit_code": 3}, "the command failed with exit code 3, and a failed run saves nothing"),
    ({"exit_code": None}, "nobody saw how the command ended"),
    ({"exit_code": 75}, "the command was paused (exit code 75): what it saved counts once a later leg has completed the job"),
    ({"simulated": True}, "the run is simulated: its intensities are not those of its time and place"),
    ({"quality": None}, "nothing is known of the energy"),
    ({"samples_kept": False}, "the samples could not be kept, so nobody can recompute the energy"),
    ({"gaps": ("suspend of 300 s", "x")}, "the meters have a gap: suspend of 300 s"),
    ({"quality": "assumed"}, "the energy is assumed, neither measured nor modelled"),
    ({"deferred": timedelta(0)}, "the run started at once, so nothing was shifted"),
    ({"series": None}, "the grid's intensity during the run is not known"),
    ({"series": None, "provisional": True}, "the grid's intensity during the run is not known yet (greenai evidence settle)"),
    ({"zone": "GB-13"}, "the intensities are those of GB, the run was in GB-13"),
    ({"provisional": True}, "provisional: the measured intensities are not there yet (greenai evidence settle)"),
    ({"series": series([100.0], kind="forecast")}, "the intensities are forecast, not measured"),
    ({"series": series([100.0], kind="modelled")}, "the intensities are modelled, not measured"),
    ({"series": series([100.0], step=2 * HOUR)}, "the intensities have steps of 2:00:00, coarser than an hour"),
    ({"saving_g": None}, "the intensities do not reach back to when the run could have started"),
    ({"saving_g": Estimate(value=-3.0, low=-4.0, high=-2.0)}, "the shift saved nothing: -3 g"),
    ({"saving_g": Estimate(value=3.0, low=-1.0, high=7.0)}, "no significant saving: -1 to 7 g includes zero"),
]


def test_a_good_case_is_claimable():
    assert verdict(GOOD) == "claimable"


@pytest.mark.parametrize("quality", ["measured:counter", "measured:sampled", "attributed", "modelled"])
def test_every_energy_that_follows_the_load_may_be_claimed(quality):
    assert verdict(replace(GOOD, quality=quality)) == "claimable"
    assert relative_only(quality) is (quality == "modelled")


@pytest.mark.parametrize(("changes", "reason"), LOST)
def test_each_condition_can_lose_it(changes, reason):
    assert verdict(replace(GOOD, **changes)) == f"not claimable: {reason}"


def test_an_hour_is_fine_enough():
    assert verdict(replace(GOOD, series=series([100.0], step=HOUR))) == "claimable"


def test_the_most_important_reason_is_given():
    worst = replace(GOOD, exit_code=1, simulated=True, gaps=("x",), deferred=timedelta(0), series=None, saving_g=None)
    assert verdict(worst).startswith("not claimable: the command failed")
    assert verdict(replace(worst, exit_code=0)).startswith("not claimable: the run is simulated")
