"""One rank of a training started by torchrun: asked to pause, it saves with the others and leaves."""

import torch

import greenai
from greenai.integrations.torch import capture, requested_by_any_rank

torch.distributed.init_process_group("gloo")
if requested_by_any_rank():
    capture({"model": torch.nn.Linear(3, 1)}, epoch=1)
    raise greenai.Paused
