"""A training with Lightning: dropout, shuffled data, a schedule by the epoch; a resumable loader or a plain one."""

import os
import sys
import warnings

import lightning.pytorch as pl
import torch
from tests.integrations import marks
from torch.utils.data import DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from greenai.integrations.lightning import pause_callback, resume_from

warnings.simplefilter("ignore")
warnings.filterwarnings("always", message="a pause was asked for")
pl.seed_everything(3, verbose=False)
validates = "validates" in sys.argv


class Data(Dataset):
    def __init__(self):
        self.x = torch.randn(80, 6)

    def __len__(self):
        return 80

    def __getitem__(self, index):
        return self.x[index] + 0.1 * torch.randn(6), self.x[index].sum().sin()[None]


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 1))

    def training_step(self, batch, _):
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


class Mark(pl.Callback):
    def on_train_batch_end(self, trainer, *_):
        marks.step(trainer.global_step)


ranks = int(os.environ.get("WORLD_SIZE", "1"))
torch.manual_seed(3 + int(os.environ.get("RANK", "0")))  # each rank has random numbers of its own
own = [pause_callback(mid_epoch=True)] if "mid-epoch" in sys.argv else []
trainer = pl.Trainer(
    max_epochs=3,
    accelerator="cpu",
    devices=ranks,
    strategy="ddp" if ranks > 1 else "auto",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    limit_val_batches=2 if validates else 0,
    num_sanity_val_steps=1,
    callbacks=[Mark(), *own],
)
kind = StatefulDataLoader if "stateful" in sys.argv else DataLoader
model = Model()
trainer.fit(
    model,
    kind(Data(), batch_size=8, shuffle=True),
    DataLoader(Data(), batch_size=8) if validates else None,
    ckpt_path=None if "forgets" in sys.argv else resume_from(),
)
marks.finish(**{name: value.detach().numpy() for name, value in model.state_dict().items()}, draw=torch.rand(3).numpy())
