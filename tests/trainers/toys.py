"""A tiny module and datamodule on plain tensors: regression with dropout, in float64, fast enough for many runs."""

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ToyModule(LightningModule):
    monitor, mode = "val/loss", "min"

    def __init__(self, dropout=0.0, lr=0.05, batch_norm=False, schedule="step", poison=None):
        super().__init__()
        self.save_hyperparameters()
        layers = [nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1)]
        self.network = nn.Sequential(*layers, *([nn.BatchNorm1d(1)] if batch_norm else []))
        self.register_buffer("constant", torch.full((2,), 1 / 3))
        self.register_buffer("index", torch.tensor([5, 7]))
        self.seen = []

    def loss(self, batch):
        return nn.functional.mse_loss(self.network(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        self.seen.append(batch[2].tolist())
        loss = self.loss(batch)
        if self.hparams["poison"] == "loss" and self.global_step == 2:
            loss = loss * float("nan")
        self.log("train/loss", loss, on_epoch=True, on_step=False, batch_size=len(batch[0]), sync_dist=True)
        return loss

    def on_before_optimizer_step(self, optimizer):
        if self.hparams["poison"] == "parameter" and self.global_step == 2:
            optimizer.param_groups[0]["lr"] = float("inf")

    def on_validation_epoch_start(self):
        self.sums, self.evaluated = torch.zeros(2, dtype=torch.float64), []

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch, batch_idx):
        self.evaluated += batch[2].tolist()
        self.sums += torch.tensor([float(self.loss(batch)) * len(batch[0]), len(batch[0])], dtype=torch.float64)

    test_step = validation_step

    def on_validation_epoch_end(self):
        self.log("val/loss", self.mean(), sync_dist=True)

    def on_test_epoch_end(self):
        self.log("test/loss", self.mean(), sync_dist=True)

    def mean(self):
        sums = self.trainer.strategy.reduce(self.sums, reduce_op="sum")
        return sums[0] / sums[1]

    def predict_step(self, batch, batch_idx=0):
        return self.network(batch[0])

    def figures(self):
        figure = Figure()
        figure.add_subplot().plot([0, 1])
        return {"line": figure}

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])
        if self.hparams["schedule"] == "plateau":
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss"}}
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99), "interval": "step"}]


class ToyData(LightningDataModule):
    """The interface of `ZooDataModule`, without its requirements."""

    def __init__(self, batch_size=4, length=26, num_workers=0, seed=0):
        super().__init__()
        self.save_hyperparameters()
        self.batch_size, self.length, self.num_workers, self.seed = batch_size, length, num_workers, seed
        self.sampler_factory = None

    def setup(self, stage):
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(self.length, 3, generator=generator)
        targets = inputs.sum(1, keepdim=True).sin() + 0.1 * torch.randn(self.length, 1, generator=generator)
        self.dataset = TensorDataset(inputs, targets, torch.arange(self.length))

    def loader(self, training):
        world_size = self.trainer.world_size if self.trainer else 1
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size // world_size,
            sampler=self.sampler_factory(self.dataset, training) if self.sampler_factory else None,
            drop_last=training and self.length >= self.batch_size,
            num_workers=self.num_workers,
            generator=torch.Generator().manual_seed(0),
        )

    def train_dataloader(self):
        return self.loader(True)

    def val_dataloader(self):
        return self.loader(False)

    test_dataloader = predict_dataloader = val_dataloader

    def metadata(self):
        return {"source": "toy", "split": "all"}
