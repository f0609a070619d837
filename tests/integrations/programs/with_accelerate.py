"""A training with Accelerate: shuffled data and dropout."""

import os
import sys

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import set_seed
from tests.integrations import marks
from torch.utils.data import DataLoader, TensorDataset

from greenai.integrations.accelerate import Resumable

set_seed(3)
accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler="plain" not in sys.argv))
model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.7)
x = torch.randn(80, 6)
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True).sin()), batch_size=8, shuffle=True)
model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
torch.manual_seed(3 + int(os.environ.get("RANK", "0")))  # each rank has random numbers of its own
training = Resumable(accelerator, loader)
for epoch in training.epochs(3):
    for features, target in training.batches():
        loss = torch.nn.functional.mse_loss(model(features), target)
        accelerator.backward(loss)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        marks.step(epoch * 10 + training.seen)
        training.point()
marks.finish(**{name: value.detach().numpy() for name, value in model.state_dict().items()}, draw=torch.rand(3).numpy())
