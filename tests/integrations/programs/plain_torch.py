"""A plain PyTorch training with everything that is easily forgotten: dropout, BatchNorm, a scheduler, a gradient scaler,
mixed precision, random augmentation from three generators, and an order of the data from its own or the global generator."""

import random
import sys

import numpy as np
import torch
from tests.integrations import marks
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from greenai import pause
from greenai.integrations.torch import SkipBatches, capture, restore

own_generator, workers = "own-generator" in sys.argv, 2 if "workers" in sys.argv else 0
torch.manual_seed(5)
np.random.seed(6)
random.seed(7)


class Data(Dataset):
    def __init__(self):
        self.x = torch.randn(80, 6)

    def __len__(self):
        return 80

    def __getitem__(self, index):
        x = self.x[index]
        target = x.sum().sin()
        if not workers:
            x = x + 0.1 * torch.randn(6) + float(np.random.rand()) + random.random()
        return x, target


data = Data()
generator = torch.Generator().manual_seed(11) if own_generator else None
batches = SkipBatches(BatchSampler(RandomSampler(data, generator=generator), 8, drop_last=False), generator=generator)
loader = DataLoader(data, batch_sampler=batches, num_workers=workers, generator=generator)
model = torch.nn.Sequential(
    torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 1)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=30)
scaler = torch.amp.GradScaler("cpu")
parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}
for epoch in range(restore(parts, batches), 3):
    for x, target in batches.of(loader):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = torch.nn.functional.mse_loss(model(x)[:, 0].float(), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        scheduler.step()
        marks.step(epoch * 10 + batches.seen)
        pause.point(lambda now=epoch: capture(parts, batches, epoch=now))
marks.finish(**{name: value.detach().numpy() for name, value in model.state_dict().items()}, draw=torch.rand(3).numpy())
