"""Accelerate: the position, and the random numbers set when the iterator exists (the documented order is not exact).

::

    accelerator = Accelerator(dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True))
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    training = Resumable(accelerator, loader)
    for epoch in training.epochs(3):
        for batch in training.batches():
            ...                                                   # forward, backward, step, zero_grad
            training.point()

Exact where fetching an item draws no random numbers. Accelerate fetches one batch ahead, so augmentation in the
main process has drawn for a batch not yet trained on: there a resume is equivalent, not exact.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import need

_RECORD = "accelerate.json"


class Resumable:
    """The epochs and batches of a training with Accelerate, going on where a paused process stopped.

    Args:
        accelerator: the Accelerator, with everything to be saved prepared or registered.
        loader: the prepared DataLoader the training draws from.

    Raises:
        InputError: the order of the data could not be found again (`use_seedable_sampler` is off).
    """

    def __init__(self, accelerator: Any, loader: Any, /) -> None:
        _checkpoint.refuse_if(
            not accelerator.dataloader_config.use_seedable_sampler,
            "without use_seedable_sampler a resumed training sees the data in another order",
            remedy="make the Accelerator with DataLoaderConfiguration(use_seedable_sampler=True)",
        )
        self.accelerator = accelerator
        self.loader = loader
        self.epoch = 0
        self.seen = 0
        record = _checkpoint.read_record(_RECORD)
        self._saved = None if record is None else _checkpoint.directory() / record["state"]
        if record is not None:
            accelerator.load_state(str(self._saved))
            self.epoch, self.seen = record["epoch"], record["seen"]

    def epochs(self, count: int, /) -> Iterator[int]:
        """The numbers of the epochs still to train."""
        for epoch in range(self.epoch, count):
            self.epoch = epoch
            yield epoch

    def batches(self) -> Iterator[Any]:
        """The batches of this epoch still to train on."""
        loader = self.loader
        self.loader.set_epoch(self.epoch)
        if self.seen:
            loader = need("accelerate", extra="accelerate").skip_first_batches(self.loader, self.seen)
            loader.set_epoch(self.epoch)
        iterator = iter(loader)
        batch = next(iterator, None)
        if self._saved is not None:
            self._set_random_numbers(self._saved)
            self._saved = None
        while batch is not None:
            self.seen += 1
            yield batch
            batch = next(iterator, None)
        self.seen = 0

    def point(self) -> None:
        """After an optimiser step, on every rank: if any rank is asked to pause, save and end.

        Raises:
            Paused: one was.
        """
        if pause.requested():
            self.accelerator.set_trigger()
        if self.accelerator.check_trigger():
            self._save()
            raise pause.Paused

    def _save(self) -> None:
        name = f"accelerate-{pause.resumes()}"
        state = _checkpoint.directory() / name
        self.accelerator.save_state(str(state))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            _checkpoint.sync(state)
            _checkpoint.write_record(_RECORD, {"state": name, "epoch": self.epoch, "seen": self.seen})
            _checkpoint.only(state, like="accelerate-*")
        self.accelerator.wait_for_everyone()

    def _set_random_numbers(self, state: Any) -> None:
        """Set them again: making the iterator has drawn from them since `load_state` did."""
        torch, numpy = need("torch", extra="torch"), need("numpy", extra="torch")
        load = need("accelerate.utils", extra="accelerate").load
        states = load(str(state / f"random_states_{self.accelerator.process_index}.pkl"))
        torch.set_rng_state(states["torch_manual_seed"])
        random.setstate(states["random_state"])
        numpy.random.set_state(states["numpy_random_seed"])
        if torch.cuda.is_available() and "torch_cuda_manual_seed" in states:
            torch.cuda.set_rng_state_all(states["torch_cuda_manual_seed"])
