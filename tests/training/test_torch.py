"""The network: learns, repeats itself, and keeps a saving only through the gate."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from greenai.errors import InputError  # noqa: E402
from greenai.training import torch_compare  # noqa: E402
from greenai.training.samples import sample  # noqa: E402
from greenai.training.torch_compare import compare_network, epoch_energies  # noqa: E402
from greenai.training.torch_loop import Settings, device_of, network_arm, train_network  # noqa: E402
from greenai.training.torch_shrink import pruned, quantised  # noqa: E402

SMALL = Settings(hidden=(16, 16), epochs=15, batch=64, device="cpu")


def trained(name, settings, seed=3):
    workload = sample(name)
    split = workload.split(seed)
    network = train_network(split.train, split.train_target, settings=settings, classes=len(workload.classes), seed=seed)
    return network, workload.row_losses(split.judge_target, network.predict(split.judge)).mean()


@pytest.mark.parametrize(("name", "guessing"), [("tab-600", 0.70), ("tabclass-600", 0.69)])
def test_it_learns(name, guessing):
    _, loss = trained(name, SMALL)
    assert loss < 0.8 * guessing


def test_the_same_seed_gives_the_same_network():
    first, again, other = (trained("tab-200", SMALL, seed=seed)[0] for seed in (3, 3, 4))
    assert first.losses == again.losses
    assert first.losses != other.losses


def test_it_takes_gaps_and_texts(mixed):
    from greenai.training.reading import columns_of, table_of

    table = table_of(mixed, columns_of(mixed.drop(columns="kind"), "y")[0])
    network = network_arm(SMALL, classes=0).fit(table, mixed["y"].to_numpy(), 1)
    assert np.abs(network.predict(table) - mixed["y"]).mean() < 0.5 * np.abs(mixed["y"] - mixed["y"].mean()).mean()


def test_early_stopping_ends_early_and_keeps_the_best():
    settings = Settings(hidden=(32,), epochs=200, learning_rate=0.02, device="cpu", early_stopping=True)
    network, loss = trained("tabclass-300", settings)
    plain, plain_loss = trained("tabclass-300", Settings(hidden=(32,), epochs=200, learning_rate=0.02, device="cpu"))
    assert len(network.losses) < 200 == len(plain.losses)
    assert loss < plain_loss


def test_pruning_takes_the_weakest_units_out():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight[1] = 0.0
        net[0].bias[1] = 0.0
        net[2].weight[:, 3] = 0.0
    smaller = pruned(net, 0.5)
    assert (smaller[0].out_features, smaller[2].in_features) == (2, 2)
    features = torch.randn(10, 3)
    torch.testing.assert_close(smaller(features), net(features))


def test_quantised_says_nearly_the_same():
    network, _ = trained("tab-200", SMALL)
    features = torch.randn(50, 8)
    torch.testing.assert_close(quantised(network.net)(features), network.net(features), atol=0.2, rtol=0.1)


def test_threads_are_put_back():
    before = torch.get_num_threads()
    trained("tab-100", Settings(hidden=(4,), epochs=1, threads=before + 1, device="cpu"))
    assert torch.get_num_threads() == before


def test_each_epoch_is_measured(machine):
    uses = epoch_energies(sample("tab-100"), settings=Settings(hidden=(4,), epochs=3, device="cpu"), measure=machine.measure)
    assert len(uses) == 3


def test_savings_are_kept_only_through_the_gate(machine, monkeypatch):
    """Joules are planted by setting: early stopping and pruning save, quantisation costs, bfloat16 is not there."""
    monkeypatch.setattr(torch_compare, "has_bfloat16", lambda device: False)
    monkeypatch.setattr(torch_compare, "_once", planted_trials(machine))
    result = compare_network(sample("tab-100"), settings=SMALL, measure=machine.measure)
    kept = {step.technique: step.kept for step in result.steps}
    assert kept == {
        "plain": True,
        "early stopping": True,
        "mixed precision": False,
        "pruning": False,
        "quantisation": False,
    }
    reasons = {step.technique: step.reason for step in result.steps}
    assert "does not compute in bfloat16" in reasons["mixed precision"]
    assert "not shown to be as good" in reasons["pruning"]
    assert "not clearly less" in reasons["quantisation"]
    assert result.settings.early_stopping
    assert not result.settings.quantise
    json.dumps(result.document())


def planted_trials(machine):
    from greenai.training.arms import Scored

    def once(settings, workload, seed, split, *, measure):
        joules = 4.0 if settings.early_stopping else 10.0
        answer_j = 0.5 if settings.prune_share else 1.2 if settings.quantise else 1.0
        error = 1.5 if settings.prune_share else 0.9 if settings.early_stopping else 1.0
        losses = np.array([error * (1 + 0.01 * np.random.default_rng(seed).normal())])
        _, use = machine.measure(lambda: machine.use(joules))
        scored = Scored(seed=seed, loss=float(losses[0]), row_losses=losses, rows=None, use=use, fitted=None)
        return scored, 10, machine.measure(lambda: machine.use(answer_j))[1]

    return once


def test_arms_take_turns(machine, monkeypatch):
    order = []

    def once(settings, workload, seed, split, *, measure):
        order.append((seed, settings.quantise))
        return planted_trials(machine)(settings, workload, seed, split, measure=measure)

    monkeypatch.setattr(torch_compare, "_once", once)
    torch_compare._tried([Settings(), Settings(quantise=True)], sample("tab-100"), {1: None, 2: None}, machine.measure)
    assert order == [(1, False), (1, True), (2, True), (2, False)]


def test_the_whole_comparison_runs(machine):
    told = []
    result = compare_network(sample("tabclass-100"), settings=SMALL, seeds=range(2), measure=machine.measure, tell=told.append)
    assert [step.technique for step in result.steps] == ["plain", "early stopping", "mixed precision", "pruning", "quantisation"]
    assert told == list(result.steps)
    assert result.steps[0].epochs == 15


def test_a_missing_torch_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="a network needs torch"):
        device_of("auto")
