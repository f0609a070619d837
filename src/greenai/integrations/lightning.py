"""Lightning: saves by the Trainer's own checkpoint, with the random numbers that it leaves out.

::

    trainer = Trainer(...)                                        # under greenai the callback is added by itself
    trainer.fit(model, loader, ckpt_path=resume_from())

In the middle of an epoch only where every training loader is resumable (torchdata's StatefulDataLoader): with a
plain DataLoader, Lightning would begin the epoch's data again and end it early, so some items would be seen twice
and some never. Then the pause waits for the epoch's end. So it does with several ranks, or any sampler that is told
the epoch: Lightning makes the loader's iterator before it tells the sampler, so that it would go on in the order of
epoch 0. Between epochs the iterator is made again; that of a StatefulDataLoader would not be right even then, so with
several ranks it is refused. In one process such a loader is never paused between epochs, where Lightning draws from
the random numbers once more than it would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import callback, need
from greenai.integrations._random import random_state, set_random_state
from greenai.integrations._ranks import of_all, own_number
from greenai.integrations.torch import requested_by_any_rank

_LIKE = "lightning-*.ckpt"


class _Process:
    """What this process has asked for."""

    resumes = False
    has_callback = False


def pause_callback(*, mid_epoch: bool = False) -> Any:
    """The callback for `Trainer(callbacks=[...])`; under greenai one is added by itself.

    Args:
        mid_epoch: refuse to train with a loader that cannot be resumed in the middle of an epoch, instead of
            letting a pause wait for the epoch's end.

    Raises:
        ImportError: Lightning is not installed.
    """
    _Process.has_callback = True
    base = need("lightning.pytorch", extra="lightning").Callback
    return callback(_Events, base, name="GreenaiCallback")(mid_epoch)


def callbacks() -> list[Any]:
    """Entry point `lightning.pytorch.callbacks_factory`: nothing outside greenai, or where the program adds its own."""
    if not pause.possible() or _Process.has_callback:
        return []
    return [pause_callback()]


def resume_from() -> str | None:
    """The checkpoint of the last pause, for `fit(ckpt_path=...)`; None at a first start.

    A program that never calls this could not be resumed, so it is not paused by its own will.
    """
    _Process.resumes = True
    file = _newest()
    return None if file is None else str(file)


class _Events:
    """Pauses a Lightning training when greenai asks for it."""

    def __init__(self, mid_epoch: bool) -> None:
        super().__init__()
        self._mid_epoch = mid_epoch
        self._saving: dict[str, Any] = {}
        self._loaded: Mapping[str, Any] | None = None
        self._between: Mapping[str, Any] | None = None
        self._said = False

    def state_dict(self) -> dict[str, Any]:
        """The random numbers, in the checkpoint of a pause."""
        return self._saving

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Keep them until they can be set."""
        self._loaded = state_dict

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Between epochs the random numbers must be right before the loader's iterator is made: it draws from them."""
        _checkpoint.refuse_if(
            _newest() is not None and trainer.ckpt_path is None,
            "this training was paused, but begins again from nothing",
            remedy="call fit(ckpt_path=greenai.integrations.lightning.resume_from())",
        )
        self._set_random_numbers(mid_epoch=False)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """In the middle of an epoch they must be right after it is made, and before the first batch is fetched."""
        _checkpoint.refuse_if(
            self._mid_epoch and not _resumable(trainer),
            f"{_unlike(trainer)} cannot be resumed in the middle of an epoch: some items would be seen twice and some never",
            remedy="use torchdata's StatefulDataLoader in one process, or leave mid_epoch out to pause at the end of epochs only",
        )
        told = _is_told_the_epoch(trainer)
        _checkpoint.refuse_if(
            told and _Process.resumes and _keep_their_place(trainer),
            "with several ranks, or a sampler that is told the epoch, a StatefulDataLoader goes on in the order of epoch 0",
            remedy="use a plain DataLoader to be paused at the end of epochs",
        )
        if self._between is not None and told:
            for sampler in _samplers(trainer):
                getattr(sampler, "set_epoch", lambda _: None)(trainer.current_epoch)
            set_random_state(self._between)
            iter(trainer.fit_loop._data_fetcher)
        self._between = None
        self._set_random_numbers(mid_epoch=True)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """After an optimiser step."""
        _tell_progress(trainer)
        stepped = trainer.fit_loop.batch_idx % trainer.accumulate_grad_batches == trainer.accumulate_grad_batches - 1
        if not stepped or trainer.is_last_batch or not self._asked():
            return
        if _resumable(trainer):
            self._pause(trainer, mid_epoch=True)
        elif not self._said:
            self._said = True
            warnings.warn(
                f"a pause was asked for; {_unlike(trainer)} cannot be resumed in the middle of an epoch, so it waits for the "
                "end of this one (torchdata's StatefulDataLoader in one process needs no waiting)",
                stacklevel=2,
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Between epochs."""
        if not _resumable(trainer) and self._asked():
            self._pause(trainer, mid_epoch=False)

    def _asked(self) -> bool:
        return _Process.resumes and requested_by_any_rank()

    def _pause(self, trainer: Any, *, mid_epoch: bool) -> None:
        # Lightning saves what the first rank gives, for all.
        self._saving = {"random": of_all(need("torch", extra="lightning"), random_state()), "mid_epoch": mid_epoch}
        file = _checkpoint.directory() / f"lightning-{pause.resumes()}.ckpt"
        beside = file.with_name(f"new-{file.name}")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            _checkpoint.put(beside, file)
            _checkpoint.only(file, like=_LIKE)
        trainer.strategy.barrier("greenai pause")
        raise pause.Paused

    def _set_random_numbers(self, *, mid_epoch: bool) -> None:
        if self._loaded is not None and self._loaded["mid_epoch"] is mid_epoch:
            states, torch = self._loaded["random"], need("torch", extra="lightning")
            ranks = len(of_all(torch, None))
            _checkpoint.refuse_if(
                len(states) != ranks,
                f"this training was paused with {len(states)} ranks and goes on with {ranks}",
                remedy="give it as many as it had",
            )
            self._loaded, own = None, states[own_number(torch)]
            set_random_state(own)
            self._between = None if mid_epoch else own


def _newest() -> Path | None:
    found = pause.checkpoint_dir()
    files = [] if found is None else list(found.glob(_LIKE))
    return max(files, key=lambda file: int(file.stem.rpartition("-")[2]), default=None)


def _resumable(trainer: Any) -> bool:
    """Whether a training can go on in the middle of an epoch."""
    return _keep_their_place(trainer) and not _is_told_the_epoch(trainer)


def _keep_their_place(trainer: Any) -> bool:
    """Whether every training loader has state_dict and load_state_dict."""
    loaders = _loaders(trainer)
    return bool(loaders) and all(hasattr(one, "state_dict") and hasattr(one, "load_state_dict") for one in loaders)


def _is_told_the_epoch(trainer: Any) -> bool:
    """Whether the order of a loader follows from the epoch's number, or other ranks have loaders of which none is saved."""
    return trainer.world_size > 1 or any(hasattr(sampler, "set_epoch") for sampler in _samplers(trainer))


def _samplers(trainer: Any) -> list[Any]:
    """Those that Lightning tells the epoch, if they want to know it."""
    outer = [getattr(one, name, None) for one in _loaders(trainer) for name in ("sampler", "batch_sampler")]
    return [*outer, *(getattr(sampler, "sampler", None) for sampler in outer)]


def _unlike(trainer: Any) -> str:
    """What it is that cannot be resumed."""
    return "a sampler that is told the epoch" if _is_told_the_epoch(trainer) else "a plain DataLoader"


def _loaders(trainer: Any) -> list[Any]:
    combined = getattr(trainer.fit_loop, "_combined_loader", None)
    return [] if combined is None else list(combined.flattened)


def _tell_progress(trainer: Any) -> None:
    steps = trainer.estimated_stepping_batches
    if steps > 0:
        pause.progress(trainer.global_step / steps)
