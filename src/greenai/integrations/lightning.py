"""Lightning: saves by the Trainer's own checkpoint, with the random numbers that it leaves out.

::

    trainer = Trainer(...)                                        # under greenai the callback is added by itself
    trainer.fit(model, loader, ckpt_path=resume_from())

In the middle of an epoch only where every training loader is resumable (torchdata's StatefulDataLoader): with a
plain DataLoader, Lightning would begin the epoch's data again and end it early, so some items would be seen twice
and some never. Then the pause waits for the epoch's end.
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
            "a plain DataLoader cannot be resumed in the middle of an epoch: some items would be seen twice and some never",
            remedy="use torchdata's StatefulDataLoader, or leave mid_epoch out to pause at the end of epochs only",
        )
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
                "a pause was asked for; a plain DataLoader cannot be resumed in the middle of an epoch, so it waits for the "
                "end of this one (torchdata's StatefulDataLoader needs no waiting)",
                stacklevel=2,
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Between epochs."""
        if self._asked():
            self._pause(trainer, mid_epoch=False)

    def _asked(self) -> bool:
        return _Process.resumes and requested_by_any_rank()

    def _pause(self, trainer: Any, *, mid_epoch: bool) -> None:
        self._saving = {"random": random_state(), "mid_epoch": mid_epoch}
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
            set_random_state(self._loaded["random"])
            self._loaded = None


def _newest() -> Path | None:
    found = pause.checkpoint_dir()
    files = [] if found is None else list(found.glob(_LIKE))
    return max(files, key=lambda file: int(file.stem.rpartition("-")[2]), default=None)


def _resumable(trainer: Any) -> bool:
    """Whether every training loader keeps its place: it has state_dict and load_state_dict."""
    from_combined = getattr(trainer.fit_loop, "_combined_loader", None)
    loaders = [] if from_combined is None else from_combined.flattened
    return bool(loaders) and all(hasattr(one, "state_dict") and hasattr(one, "load_state_dict") for one in loaders)


def _tell_progress(trainer: Any) -> None:
    steps = trainer.estimated_stepping_batches
    if steps > 0:
        pause.progress(trainer.global_step / steps)
