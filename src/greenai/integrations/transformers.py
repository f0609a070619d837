"""Hugging Face Trainer: saves by the Trainer's own checkpoint at the end of a step, and leaves `train()` by `Paused`.

::

    trainer = Trainer(..., args=TrainingArguments(output_dir, ...), callbacks=[pause_callback()])
    trainer.train(resume_from_checkpoint=resume_from(output_dir))

Exact with dropout, gradient accumulation and any scheduler of the Trainer. A callback that merely stopped the
training would let `train()` return, and what follows it run on a half-trained model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import callback, need
from greenai.integrations._ranks import meet
from greenai.integrations.torch import requested_by_any_rank

_COMPLETE = "greenai-complete"


def pause_callback() -> Any:
    """The callback to give to `Trainer(callbacks=[...])`.

    Raises:
        ImportError: transformers is not installed.
    """
    base = need("transformers", extra="transformers").TrainerCallback
    return callback(_Events, base, name="GreenaiCallback")()


def resume_from(output_dir: str | Path, /) -> str | None:
    """The newest complete checkpoint under `output_dir`, for `train(resume_from_checkpoint=...)`; None at a first start.

    One that was being written when the process was killed is passed over: `resume_from_checkpoint=True` would take it.
    """
    found = [file.parent for file in Path(output_dir).glob(f"checkpoint-*/{_COMPLETE}")]
    return str(max(found, key=lambda one: int(one.name.rpartition("-")[2]))) if found else None


class _Events:
    """Pauses a Hugging Face training when greenai asks for it."""

    def __init__(self) -> None:
        self._asked = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Refuse what would resume wrongly without a word."""
        _refuse_silent_traps(args)
        there = resume_from(args.output_dir)
        _checkpoint.refuse_if(
            bool(there) and pause.resumes() > 0 and state.global_step == 0,
            "this training was paused, but begins again from nothing",
            remedy="call train(resume_from_checkpoint=greenai.integrations.transformers.resume_from(output_dir))",
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After an optimiser step: if any rank is asked, have the Trainer save."""
        if state.max_steps > 0:
            pause.progress(state.global_step / state.max_steps)
        if requested_by_any_rank():
            self._asked = True
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is written: mark it complete, and end if a pause was asked for.

        Raises:
            Paused: it was.
        """
        torch = need("torch", extra="transformers")
        meet(torch)  # each rank has written its own random numbers by now: the checkpoint is whole
        if state.is_world_process_zero:
            written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            _checkpoint.sync(written)
            (written / _COMPLETE).touch()
            _checkpoint.sync(written)
        if self._asked:
            meet(torch)  # a launcher ends all ranks as soon as the first has ended
            raise pause.Paused


def _refuse_silent_traps(args: Any) -> None:
    _checkpoint.refuse_if(
        args.save_only_model,
        "with save_only_model a resumed training starts with a fresh optimiser and says nothing",
        remedy="leave save_only_model False to be paused",
    )
    _checkpoint.refuse_if(
        args.ignore_data_skip,
        "with ignore_data_skip a resumed training sees the beginning of the data again",
        remedy="leave ignore_data_skip False to be paused",
    )
    _checkpoint.refuse_if(
        bool(getattr(args, "enable_jit_checkpoint", False)),
        "enable_jit_checkpoint also saves at SIGTERM and then lets train() return: two would be in charge",
        remedy="leave enable_jit_checkpoint False to be paused by greenai",
    )
