"""Plain PyTorch: everything a training loop needs to go on, to the bit, from the middle of an epoch.

::

    batches = SkipBatches(BatchSampler(RandomSampler(data, generator=g), 32, drop_last=False), generator=g)
    loader = DataLoader(data, batch_sampler=batches)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    for epoch in range(restore(parts, batches), epochs):
        for batch in batches.of(loader):
            ...                                                   # forward, backward, step, zero_grad
            pause.point(lambda: capture(parts, batches, epoch=epoch))

Exact: model, optimiser, scheduler, gradient scaler (whatever has a state_dict), the random numbers of torch, CUDA,
numpy and Python, and the place in the epoch. Not saved: gradients. Pause after the optimiser's step.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from greenai import pause
from greenai.errors import InputError
from greenai.integrations import _checkpoint
from greenai.integrations._framework import need
from greenai.integrations._random import random_state, set_random_state
from greenai.integrations._ranks import are_several, meet, of_all, own_number


class SkipBatches:
    """A batch sampler that begins an epoch where the paused process left it, without fetching what was seen.

    On resume it first sets the random numbers to what they were at the epoch's start, lets the inner sampler draw
    the same order again, drops the batches already seen, and then sets the random numbers to what they were at the
    pause: before the first item is fetched, so random augmentation in the main process stays exact too.

    Args:
        inner: a batch sampler: an iterable of lists of indices.
        generator: the torch.Generator the inner sampler draws from, if it has its own.
    """

    def __init__(self, inner: Iterable[list[int]], /, *, generator: Any = None) -> None:
        self.inner = inner
        self.generator = generator
        self.seen = 0
        self._start: dict[str, Any] | None = None
        self._resume: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]  # a sampler without a length has none here either

    def __iter__(self) -> Iterator[list[int]]:
        resume, self._resume = self._resume, None
        if resume is not None:
            set_random_state(resume["start"]["random"])
            self._set_generator(resume["start"]["generator"])
        self._start = {"random": random_state(), "generator": self._generator_state()}
        drawn = iter(self.inner)
        if resume is not None:
            for _ in range(resume["seen"]):
                next(drawn, None)
            set_random_state(resume["random"])
        yield from drawn

    def of(self, loader: Iterable[Any], /) -> Iterator[Any]:
        """The loader's batches, counted as they are given out: what `capture` needs to know."""
        self.seen = 0 if self._resume is None else int(self._resume["seen"])
        for batch in loader:
            self.seen += 1
            yield batch
        self.seen, self._start = 0, None  # between epochs: nothing to skip

    def state(self) -> dict[str, Any]:
        """Where in the epoch it stands."""
        return {"seen": self.seen, "start": self._start}

    def resume_from(self, state: Mapping[str, Any], *, random: Mapping[str, Any]) -> None:
        """Begin the next epoch there, and go on with these random numbers."""
        self._resume = {**state, "random": random}

    def _generator_state(self) -> Any:
        return None if self.generator is None else self.generator.get_state()

    def _set_generator(self, state: Any) -> None:
        if self.generator is not None and state is not None:
            self.generator.set_state(state)


def capture(parts: Mapping[str, Any], batches: SkipBatches | None = None, /, *, epoch: int = 0) -> Path:
    """Save everything into the checkpoint directory; each rank its own file, put in place only when all are written.

    Args:
        parts: what has `state_dict` and `load_state_dict`, by name; give the same names to `restore`.
        batches: the sampler the training loop draws from; without it, call this only between epochs.
        epoch: the number of the epoch under way, or of the next one between epochs.

    Raises:
        InputError: a state holds what cannot be read back as plain data, or there is nowhere to save.
    """
    torch = need("torch", extra="torch")
    state = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "batches": None if batches is None else batches.state(),
        "epoch": epoch,
        "leg": pause.resumes(),
        "random": random_state(),
    }

    def written(file: Path) -> None:
        torch.save(state, file)
        _check_readable(torch, file)

    file = _checkpoint.write(_name(torch), written, before_replacing=lambda: meet(torch))
    meet(torch)  # a launcher ends all ranks as soon as the first has ended
    return file


def restore(parts: Mapping[str, Any], batches: SkipBatches | None = None, /) -> int:
    """Load what `capture` saved, if anything; the number of the epoch to go on with, 0 at a first start.

    Call it when the parts are built, just before the loop over epochs.

    Raises:
        InputError: the checkpoint has other parts, or the ranks' checkpoints are of different moments.
    """
    torch = need("torch", extra="torch")
    file = _checkpoint.place(_name(torch))
    state = None if file is None else torch.load(file, weights_only=True, map_location="cpu")
    _check_same_moment(torch, state)
    if state is None:
        return 0
    if set(state["parts"]) != set(parts) or (state["batches"] is None) != (batches is None):
        raise InputError(
            f"the checkpoint holds {_said(state)}, not what is to be restored: give `restore` what `capture` was given"
        )
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    if batches is not None and state["batches"]["start"] is not None:
        batches.resume_from(state["batches"], random=state["random"])
    else:
        set_random_state(state["random"])
    return int(state["epoch"])


def requested_by_any_rank() -> bool:
    """Whether any rank of torch.distributed is asked to pause; all ranks must call it at the same step."""
    torch = need("torch", extra="torch")
    if not are_several(torch):
        return pause.requested()
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"

    def largest(number: int) -> int:
        flag = torch.tensor(number, device=device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return int(flag.item())

    return pause.requested_by_any(largest)


def _check_readable(torch: Any, file: Path) -> None:
    """Read the new file's structure, without its numbers, as `restore` will: a checkpoint that cannot be read is none."""
    try:
        torch.load(file, weights_only=True, map_location="cpu", mmap=True)
    except pickle.UnpicklingError as error:
        file.unlink()
        raise InputError(
            "a state_dict holds an object that is not plain data or tensors, so it could not be restored: "
            + str(error).splitlines()[0],
            hint="keep functions and classes out of the state_dict of what is given to `capture`",
        ) from error


def _check_same_moment(torch: Any, state: Mapping[str, Any] | None) -> None:
    own = None if state is None else (state["epoch"], state["leg"], (state["batches"] or {}).get("seen"))
    all_of_them = of_all(torch, own)
    if any(one != own for one in all_of_them):
        raise InputError(f"the ranks' checkpoints are of different moments: {all_of_them}; delete those that are too new")


def _name(torch: Any) -> str:
    if not are_several(torch):
        return "torch.pt"
    return f"torch-{own_number(torch)}-of-{torch.distributed.get_world_size()}.pt"


def _said(state: Mapping[str, Any]) -> str:
    return ", ".join([*state["parts"], *(["batches"] if state["batches"] else [])])
