"""A small PyTorch training loop, on the processor or unchanged on a GPU.

A fully connected network on an encoded table: plain by default, and with the
switches of `Settings` early stopping, mixed precision, a pruned or quantised
network for inference. None is assumed to help: `torch_compare` measures each and
keeps it only through the gate. Everything random follows the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from greenai.training.arms import Arm
from greenai.training.encoding import Encoding, encoding_of
from greenai.training.extras import need
from greenai.training.family import Fitted
from greenai.training.linear import softmax
from greenai.training.table import FloatArray, Table
from greenai.training.torch_shrink import pruned, quantised

MODULES = ("torch",)
HELD_OUT_SHARE = 0.1

_FINE_TUNE_EPOCHS = 2

Around = Callable[[Callable[[], float]], float]
"""Calls one epoch's work and returns its loss: the place to meter an epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The network, and which of the four savings it uses.

    Without `early_stopping` all `epochs` are run; with it a tenth of the rows is
    held out, and training ends when they have not improved for `patience`
    epochs. `prune_share` of the hidden units is removed after training.
    """

    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 60
    batch: int = 128
    learning_rate: float = 3e-3
    patience: int = 5
    threads: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    early_stopping: bool = False
    mixed_precision: bool = False
    prune_share: float = 0.0
    quantise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A trained network. `losses` are the training loss of each epoch that was run."""

    net: Any = field(repr=False)
    encoding: Encoding
    offset: float
    scale: float
    classes: int
    device: str
    threads: int
    losses: tuple[float, ...]

    def predict(self, table: Table, /) -> FloatArray:
        """Values (n,) or chances (n, classes)."""
        torch = need("torch", extra="torch")
        with _threads(torch, self.threads), torch.inference_mode():
            said = self.net(_tensor(torch, self.encoding.of(table), self.device)).float().cpu().numpy().astype(np.float64)
        return softmax(said) if self.classes else said[:, 0] * self.scale + self.offset


def network_arm(settings: Settings, *, classes: int, around: Around | None = None) -> Arm:
    """The arm that trains such a network; `around` is called with each epoch."""

    def fit(table: Table, target: FloatArray, seed: int) -> Fitted:
        return train_network(table, target, settings=settings, classes=classes, seed=seed, around=around)

    described = {**asdict(settings), "hidden": list(settings.hidden)}
    return Arm(name="network", fit=fit, modules=MODULES, described=MappingProxyType(described))


def train_network(
    table: Table, target: FloatArray, *, settings: Settings, classes: int, seed: int, around: Around | None = None
) -> Network:
    """Train on a table: target float64 (n,), class numbers if `classes`.

    Raises:
        InputError: torch is not installed.
    """
    torch = need("torch", extra="torch", what="a network")
    device = device_of(settings.device)
    encoding = encoding_of(table)
    offset, scale = (0.0, 1.0) if classes else (float(target.mean()), float(target.std()) or 1.0)
    features = _tensor(torch, encoding.of(table), device)
    wanted = _tensor(torch, (target - offset) / scale, device)
    wanted = wanted.long() if classes else wanted[:, None]
    loop = _Loop(torch, settings, device=device, classes=classes, around=around or _plainly)
    with _threads(torch, settings.threads):
        torch.manual_seed(seed)
        net = _network(torch, features.shape[1], settings.hidden, max(classes, 1)).to(device)
        losses = loop.train(net, features, wanted)
        if settings.prune_share > 0:
            net = pruned(net, settings.prune_share)
            losses += loop.epochs(net, features, wanted, count=_FINE_TUNE_EPOCHS)
        if settings.quantise:
            net = quantised(net)
        if device == "cuda":
            torch.cuda.synchronize()
    return Network(
        net=net.eval(),
        encoding=encoding,
        offset=offset,
        scale=scale,
        classes=classes,
        device=device,
        threads=settings.threads,
        losses=tuple(losses),
    )


def device_of(asked: str) -> str:
    """Where to train: a GPU if there is one and the processor was not asked for."""
    if asked != "auto":
        return asked
    return "cuda" if need("torch", extra="torch", what="a network").cuda.is_available() else "cpu"


def has_bfloat16(device: str) -> bool:
    """Whether the machine computes in bfloat16: where it only imitates it, mixed precision costs more than it saves."""
    torch = need("torch", extra="torch", what="a network")
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _Loop:
    """Epochs of Adam over shuffled batches."""

    def __init__(self, torch: Any, settings: Settings, *, device: str, classes: int, around: Around) -> None:
        self.torch = torch
        self.settings = settings
        self.device = device
        self.around = around
        self.loss_of = torch.nn.functional.cross_entropy if classes else torch.nn.functional.mse_loss

    def train(self, net: Any, features: Any, wanted: Any) -> list[float]:
        """All epochs, or until held-out rows stop improving; the net keeps the weights that were best on them."""
        if not self.settings.early_stopping:
            return self.epochs(net, features, wanted, count=self.settings.epochs)
        held = max(1, int(len(features) * HELD_OUT_SHARE))
        optimiser = self._adam(net)
        losses: list[float] = []
        best, best_weights, since = float("inf"), None, 0
        for _ in range(self.settings.epochs):
            losses.append(self._epoch(net, features[held:], wanted[held:], optimiser))
            judged = self._judged(net, features[:held], wanted[:held])
            if judged < best:
                best, since = judged, 0
                best_weights = {name: value.clone() for name, value in net.state_dict().items()}
            else:
                since += 1
            if since >= self.settings.patience:
                break
        if best_weights is not None:
            net.load_state_dict(best_weights)
        return losses

    def epochs(self, net: Any, features: Any, wanted: Any, *, count: int) -> list[float]:
        """So many epochs over all rows."""
        optimiser = self._adam(net)
        return [self._epoch(net, features, wanted, optimiser) for _ in range(count)]

    def _adam(self, net: Any) -> Any:
        return self.torch.optim.Adam(net.parameters(), lr=self.settings.learning_rate)

    def _epoch(self, net: Any, features: Any, wanted: Any, optimiser: Any) -> float:
        return self.around(lambda: self._pass(net, features, wanted, optimiser))

    def _pass(self, net: Any, features: Any, wanted: Any, optimiser: Any) -> float:
        net.train()
        order = self.torch.randperm(len(features)).to(self.device)
        total = 0.0
        for batch in order.split(self.settings.batch):
            optimiser.zero_grad(set_to_none=True)
            with self._precision():
                loss = self.loss_of(net(features[batch]), wanted[batch])
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(batch)
        return total / len(features)

    def _judged(self, net: Any, features: Any, wanted: Any) -> float:
        net.eval()
        with self.torch.inference_mode():
            return float(self.loss_of(net(features), wanted))

    def _precision(self) -> Any:
        enabled = self.settings.mixed_precision
        return self.torch.autocast(device_type=self.device, dtype=self.torch.bfloat16, enabled=enabled)


def _network(torch: Any, width: int, hidden: tuple[int, ...], outputs: int) -> Any:
    sizes = (width, *hidden)
    layers: list[Any] = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], outputs))


def _tensor(torch: Any, values: FloatArray, device: str) -> Any:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)


def _plainly(work: Callable[[], float]) -> float:
    return work()


@contextmanager
def _threads(torch: Any, count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
