"""Maps of fixed images while anybody's module is trained."""

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainers import build_trainer
from trainers.callbacks import CAMCallback


class Anybody(LightningModule):
    """A classifier that knows nothing of the zoo."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", nn.functional.cross_entropy(self(batch[0]), batch[1]), sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(number=8):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(number, 3, 16, 16, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(number) % 3), batch_size=4)


def fit(folder, *callbacks, **arguments):
    torch.manual_seed(0)
    module = Anybody()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "preset": "cpu", "max_epochs": 2}
    trainer = build_trainer(output=folder, callbacks=list(callbacks), **{**quiet, **arguments})
    trainer.fit(module, loader(), loader())
    return module, trainer


@pytest.mark.parametrize("settings", [None, {"method": "grad"}])
def test_training_is_the_same_with_and_without(tmp_path, settings):
    plain, _ = fit(tmp_path / "plain")
    watched, trainer = fit(tmp_path / "watched", CAMCallback(num_images=3, settings=settings))
    for name, value in plain.state_dict().items():
        assert torch.equal(watched.state_dict()[name], value), name
    assert not any(module._forward_hooks for module in watched.modules())
    assert (tmp_path / "watched" / "figures" / "val_cams.png").is_file()
    assert -1 <= trainer.callback_metrics["val/cam_stability"] <= 1


def test_stability_is_one_where_nothing_is_learned(tmp_path):
    class Still(Anybody):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    module = Still()
    module.body[1].momentum = 0.0
    trainer = build_trainer(output=tmp_path, callbacks=[CAMCallback()], preset="cpu", max_epochs=2, logger=None)
    trainer.fit(module, loader(), loader())
    assert trainer.callback_metrics["val/cam_stability"] == pytest.approx(1, abs=1e-6)


def test_figures_go_to_tensorboard(tmp_path):
    _, trainer = fit(tmp_path, CAMCallback(), logger="tensorboard")
    (logger,) = (logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert "val/cams" in events.Tags()["images"]


def test_only_every_nth_epoch_is_drawn(tmp_path):
    fit(tmp_path, CAMCallback(every_n_epochs=3))
    assert not (tmp_path / "figures").exists()


def test_two_processes(tmp_path):
    _, trainer = fit(tmp_path, CAMCallback(), preset="ddp_sim", use_distributed_sampler=True)
    assert (tmp_path / "figures" / "val_cams.png").is_file()
    assert "val/cam_stability" in trainer.callback_metrics


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_images": 0}, "num_images"),
        ({"every_n_epochs": 0}, "every_n_epochs"),
        ({"settings": {"mode": "x"}}, "settings.mode"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        CAMCallback(**arguments)


@pytest.mark.parametrize("key", ["pictures", 5, 1])
def test_a_key_that_leads_nowhere_is_named(tmp_path, key):
    with pytest.raises(ValueError, match="key="):
        fit(tmp_path, CAMCallback(key=key))
