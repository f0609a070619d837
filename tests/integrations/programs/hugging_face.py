"""A tiny GPT-2 with random weights and the Hugging Face Trainer: dropout, gradient accumulation, cosine schedule."""

import os
import sys
import time

import numpy as np
import torch
from tests.integrations import marks
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations.transformers import pause_callback, resume_from

OUTPUT = "output"


class Mark(TrainerCallback):
    """Says each step."""

    def on_step_end(self, args, state, control, **_):
        marks.step(state.global_step)


def options():
    named = [word for word in sys.argv[1:] if word != "forgets"]
    return dict.fromkeys(named, True)


set_seed(3)
rows = torch.from_numpy(np.random.default_rng(1).integers(0, 50, (40, 8)))
data = [{"input_ids": row, "labels": row} for row in rows]
config = {"vocab_size": 50, "n_positions": 8, "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
trainer = Trainer(
    model=GPT2LMHeadModel(GPT2Config(**config)),
    args=TrainingArguments(
        OUTPUT,
        num_train_epochs=3,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        lr_scheduler_type="cosine",
        learning_rate=1e-2,
        report_to="none",
        use_cpu=True,
        save_strategy="no",
        **options(),
    ),
    train_dataset=data,
    callbacks=[Mark(), pause_callback()],
)
if os.environ.get("RANK") == "0":
    # The first rank is slow to put the checkpoint on the disk: the other must not leave before it is complete.
    at_once = _checkpoint.sync
    _checkpoint.sync = lambda place: (time.sleep(0.5), at_once(place))
try:
    trainer.train(resume_from_checkpoint=None if "forgets" in sys.argv else resume_from(OUTPUT))
except pause.Paused:
    assert int(resume_from(OUTPUT).rpartition("-")[2]) == trainer.state.global_step
    raise
marks.finish(**{name: value.detach().numpy() for name, value in trainer.model.named_parameters()})
