"""`build_trainer`, and the presets that it takes."""

import inspect

import pytest
import torch
import yaml
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch import Trainer

from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer
from trainers.callbacks.checkpoints import AtomicCheckpointIO
from trainers.catalogue import list_presets, preset_arguments, preset_path

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def test_four_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = build_trainer(preset="cpu", max_epochs=1, **QUIET)
    trainer.fit(module := ToyModule(), datamodule := ToyData())
    (metrics,) = trainer.test(module, datamodule, verbose=False)
    assert type(trainer) is Trainer
    assert metrics["test/loss"] > 0
    assert (tmp_path / "runs/python/0/checkpoints/last.ckpt").is_file()


def test_arguments_win_over_presets_and_later_presets_over_earlier(tmp_path):
    trainer = build_trainer(["debug", "overfit"], output=tmp_path, accelerator="cpu", max_epochs=7)
    assert trainer.max_epochs == 7
    assert trainer.overfit_batches == 1
    assert trainer.limit_val_batches == 1, "overfit_batches says so"
    assert trainer.log_every_n_steps == 1


@pytest.mark.parametrize("preset", list_presets())
def test_presets_are_trainer_arguments_with_reasons(preset):
    arguments = preset_arguments(preset)
    assert set(yaml.safe_load(preset_path(preset).read_text())) == {"trainer"}
    assert set(arguments) <= set(inspect.signature(Trainer).parameters)
    assert preset_path(preset).read_text().startswith("# ")


@pytest.mark.parametrize("preset", ["debug", "overfit", "cpu", "ddp_sim"])
def test_presets_run_without_a_gpu(preset, tmp_path):
    trainer = build_trainer(preset, output=tmp_path, max_epochs=2, **QUIET)
    module = ToyModule()
    trainer.fit(module, ToyData())
    trainer.test(module, ToyData(), verbose=False)
    assert trainer.callback_metrics["test/loss"] > 0


def test_overfit_sees_one_batch_and_learns_it(tmp_path):
    module = ToyModule()
    trainer = build_trainer("overfit", output=tmp_path, logger=None, max_epochs=80, **QUIET)
    trainer.fit(module, ToyData())
    assert len({tuple(batch) for batch in module.seen}) == 1
    assert trainer.callback_metrics["train/loss"] < 0.01


def test_fast_dev_run_writes_nothing(tmp_path):
    trainer = build_trainer("cpu", output=tmp_path, fast_dev_run=True, **QUIET)
    trainer.fit(ToyModule(), ToyData())
    assert list(tmp_path.iterdir()) == []


def test_without_checkpoints(tmp_path):
    trainer = build_trainer("cpu", output=tmp_path, enable_checkpointing=False, logger=None, max_epochs=1, **QUIET)
    trainer.fit(ToyModule(), ToyData())
    assert not (tmp_path / "checkpoints").exists()


def test_unknown_preset_suggests(tmp_path):
    with pytest.raises(ValueError, match="unknown preset 'ddp_smi'; did you mean 'ddp_sim'"):
        build_trainer("ddp_smi", output=tmp_path)


def test_plain_datamodules_are_left_alone(tmp_path):
    data = ToyData()
    data.setup("fit")
    loader = torch.utils.data.DataLoader(data.dataset, batch_size=4)
    trainer = build_trainer("cpu", output=tmp_path, logger=None, max_epochs=1, **QUIET)
    trainer.fit(module := ToyModule(), loader, loader)
    assert module.seen[0] == [0, 1, 2, 3]


class Unsampled(ToyData):
    def __init__(self):
        super().__init__(length=8)
        del self.sampler_factory

    def loader(self, training):
        return torch.utils.data.DataLoader(self.dataset, batch_size=2)


def test_processes_that_would_all_see_all_samples_are_refused(tmp_path):
    message = "each of the 2 processes would see all samples; .* ZooDataModule, .* use_distributed_sampler=True"
    with pytest.raises(Exception, match=message):
        build_trainer("ddp_sim", output=tmp_path, logger=None, max_epochs=1, **QUIET).fit(ToyModule(), Unsampled())


def test_plain_datamodules_on_two_processes_with_lightnings_sampler(tmp_path):
    trainer = build_trainer(
        "ddp_sim", output=tmp_path, logger=None, max_epochs=1, use_distributed_sampler=True, **QUIET
    )
    trainer.fit(ToyModule(), Unsampled())
    assert torch.load(tmp_path / "checkpoints/last.ckpt")["global_step"] == 2


@pytest.mark.parametrize("several", [False, True])
def test_plugins_alone_or_in_a_list(several, tmp_path):
    plugin = LightningEnvironment()
    trainer = build_trainer("cpu", output=tmp_path, plugins=[plugin] if several else plugin, **QUIET)
    assert trainer._accelerator_connector.cluster_environment is plugin
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
