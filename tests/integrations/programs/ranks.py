"""Two ranks of torch.distributed (gloo), of which one alone is asked to pause."""

import os
import sys
import tempfile

import torch
from tests.integrations import marks

import greenai
from greenai.integrations.torch import capture, requested_by_any_rank, restore

meeting = tempfile.mktemp()
other = os.fork()
rank = 0 if other else 1
if rank == 1:
    os.environ["GREENAI_PAUSE_FILE"] = "nobody-asks-this-rank"
torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
torch.manual_seed(rank)
total = torch.nn.Linear(3, 1, bias=False)
first = restore({"total": total})
for step in range(first, 6):
    mean = torch.rand(1, 3)
    torch.distributed.all_reduce(mean)
    total.weight.data += mean
    if rank == 0:
        marks.step(step + 1)
    if requested_by_any_rank():
        capture({"total": total}, epoch=step + 1)
        if rank == 0:
            assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 75
        raise greenai.Paused
if rank == 1:
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
marks.finish(total=total.weight.detach().numpy())
