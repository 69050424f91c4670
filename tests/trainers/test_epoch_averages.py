"""Whatever is averaged over an epoch covers all of it, also when the run was resumed in its middle."""

import pytest
import torch
from lightning.pytorch import seed_everything

from tests.trainers.test_resume import QUIET, STEPS, KillAfter, Killed
from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer
from trainers.runs import LAST

REDUCTIONS = ("mean", "sum", "min", "max")


class LogMuch(ToyModule):
    """Logs in every way; "rare" in the first and the last batch of an epoch only."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        weight = 1 + self.global_step % 3  # batches count differently
        for reduction in REDUCTIONS:
            self.log(reduction, loss, on_epoch=True, on_step=False, reduce_fx=reduction, batch_size=weight)
        self.log("forked", loss, on_epoch=True, on_step=True, batch_size=weight)
        self.log("on step", loss, on_epoch=False, on_step=True)
        if batch_idx in (0, STEPS - 1):
            self.log("rare", loss, on_epoch=True, on_step=False, batch_size=weight)
        return loss


def metrics_of(folder, *callbacks, resume=None):
    seed_everything(3, verbose=False)
    arguments = {**QUIET, "preset": "cpu", "max_epochs": 2, "every_n_train_steps": 1, "limit_val_batches": 0}
    trainer = build_trainer(output=folder, resume=resume, callbacks=list(callbacks), **arguments)
    trainer.fit(LogMuch(), ToyData())
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize("steps", [[2], [2, 4]], ids=["stopped once", "stopped twice"])
def test_the_whole_epoch_is_averaged(steps, tmp_path):
    expected = metrics_of(tmp_path / "uninterrupted")
    for number, step in enumerate(steps):
        with pytest.raises(Killed):
            metrics_of(tmp_path / "stopped", KillAfter(STEPS + step), resume="auto" if number else None)
    assert {"train/loss", *REDUCTIONS, "forked_epoch", "rare"} <= expected.keys()
    assert metrics_of(tmp_path / "stopped", resume="auto") == expected


def test_only_the_middle_of_an_epoch_has_sums(tmp_path):
    with pytest.raises(Killed):
        metrics_of(tmp_path / "stopped", KillAfter(STEPS + 2))
    (averages,) = torch.load(tmp_path / "stopped" / LAST)["exact_resume"]["averages"]
    assert {key.removeprefix("training_step.") for key in averages} == {"train/loss", *REDUCTIONS, "forked", "rare"}
    metrics_of(tmp_path / "finished")
    assert torch.load(tmp_path / "finished" / LAST)["exact_resume"]["averages"] == [{}]
