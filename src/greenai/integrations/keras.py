"""Keras: pauses between epochs, with the random numbers that `model.save` and BackupAndRestore leave out.

::

    model = restored() or build_and_compile()
    model.fit(x, y, epochs=20, initial_epoch=initial_epoch(), callbacks=[pause_callback()])

Exact with the torch backend, dropout and shuffling. `fit` offers no place in the middle of an epoch. Callbacks that
remember, as EarlyStopping and ReduceLROnPlateau do, forget at a resume: Keras does not save them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import callback, need
from greenai.integrations._random import random_state, set_random_state

_RECORD = "keras.json"


def pause_callback(*, exact: bool = True) -> Any:
    """The callback for `fit(callbacks=[...])`.

    Args:
        exact: refuse a backend whose random numbers cannot be saved.

    Raises:
        InputError: the backend is not torch, and `exact`.
        ImportError: Keras is not installed.
    """
    keras = need("keras", extra="keras")
    backend = keras.backend.backend()
    _checkpoint.refuse_if(
        exact and backend != "torch",
        f"on Keras' {backend} backend the random numbers of shuffling and dropout cannot be saved",
        remedy="use KERAS_BACKEND=torch, or accept an equivalent training with pause_callback(exact=False)",
    )
    return callback(_Events, keras.callbacks.Callback, name="GreenaiCallback")()


def restored(custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model of the last pause, compiled, with its optimiser's state; None at a first start."""
    record = _checkpoint.read_record(_RECORD)
    if record is None:
        return None
    saving = need("keras", extra="keras").saving
    return saving.load_model(_checkpoint.directory() / record["model"], custom_objects=custom_objects)


def initial_epoch() -> int:
    """The epoch to go on with, for `fit(initial_epoch=...)`; 0 at a first start."""
    record = _checkpoint.read_record(_RECORD)
    return 0 if record is None else int(record["epoch"])


class _Events:
    """Pauses a Keras training between epochs when greenai asks for it."""

    model: Any
    params: Mapping[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self._record = _checkpoint.read_record(_RECORD)

    def on_train_begin(self, logs: Any = None) -> None:
        """Say early that a pause will be heard: an epoch can be long."""
        pause.requested()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the random numbers here, not before `fit`: `fit` has drawn from them by now.

        Raises:
            InputError: the training was paused, but begins again from nothing.
        """
        record, self._record = self._record, None
        if record is None:
            return
        _checkpoint.refuse_if(
            epoch != record["epoch"],
            f"this training was paused after {record['epoch']} epochs, but goes on with epoch {epoch}",
            remedy="call fit(initial_epoch=greenai.integrations.keras.initial_epoch()) on the model of restored()",
        )
        set_random_state(record["random"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Between epochs.

        Raises:
            Paused: a pause was asked for, and all is saved.
        """
        done = epoch + 1
        pause.progress(done / self.params["epochs"])
        pause.point(lambda: self._save(done))

    def _save(self, done: int) -> None:
        model = _checkpoint.write(f"keras-{done}.keras", self.model.save)
        _checkpoint.write_record(_RECORD, {"model": model.name, "epoch": done, "random": random_state()})
        _checkpoint.only(model, like="keras-*.keras")
