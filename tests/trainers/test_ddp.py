"""Two processes are one process: the same parameters, and an evaluation that counts every sample once."""

import warnings

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from tests.tolerances import PARAMETERS_ACROSS_RANKS, tolerance
from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer

CLOSE = tolerance(torch.float64, PARAMETERS_ACROSS_RANKS)


class WriteResults(Callback):
    """After a fork only files come back; each rank writes its own."""

    def __init__(self, path):
        self.path = path

    def teardown(self, trainer, pl_module, stage):
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        result = {"metrics": metrics, "state": pl_module.state_dict(), "evaluated": pl_module.evaluated}
        torch.save(result, f"{self.path}-{trainer.state.fn.value}-{trainer.global_rank}")


def run(folder, preset, batch_norm=False, **data):
    seed_everything(3, verbose=False)
    trainer = build_trainer(
        preset=preset,
        logger=None,
        output=folder,
        callbacks=WriteResults(folder / "results"),
        max_epochs=3,
        precision="64-true",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # After a fork the parent takes over the weights; in single precision it would round them.
    module, datamodule = ToyModule(batch_norm=batch_norm).double(), ToyData(**data)
    trainer.fit(module, datamodule)
    trainer.test(module, datamodule, verbose=False)
    return {path.name.removeprefix("results-"): torch.load(path) for path in folder.glob("results-*")}


@pytest.mark.parametrize("data", [{}, {"length": 25, "batch_size": 6}, {"length": 6, "batch_size": 8}])
def test_two_processes_equal_one(data, tmp_path):
    one, two = run(tmp_path / "one", "cpu", **data), run(tmp_path / "two", "ddp_sim", **data)
    for name, value in one["fit-0"]["state"].items():
        for rank in (0, 1):
            torch.testing.assert_close(two[f"fit-{rank}"]["state"][name], value, **CLOSE)
    for stage, metric in {"fit": "val/loss", "test": "test/loss"}.items():
        for rank in (0, 1):
            assert two[f"{stage}-{rank}"]["metrics"][metric] == pytest.approx(
                one[f"{stage}-0"]["metrics"][metric], rel=CLOSE["rtol"]
            )


@pytest.mark.parametrize("length", [2, 3, 13, 26])
def test_evaluation_counts_every_sample_once(length, tmp_path):
    results = run(tmp_path, "ddp_sim", length=length)
    for stage in ("fit", "test"):
        assert sorted(results[f"{stage}-0"]["evaluated"] + results[f"{stage}-1"]["evaluated"]) == list(range(length))


def test_fewer_samples_than_processes_is_an_error_and_no_deadlock(tmp_path):
    with pytest.raises(Exception, match="1 samples cannot be shared by 2 processes"):
        run(tmp_path, "ddp_sim", length=1)


def test_buffers_are_the_same_on_all_ranks(tmp_path):
    results = run(tmp_path, "ddp_sim", batch_norm=True)
    for name, value in results["fit-0"]["state"].items():
        assert torch.equal(results["fit-1"]["state"][name], value), name
    assert not torch.equal(results["fit-0"]["state"]["network.4.running_mean"], torch.zeros(1, dtype=torch.float64))
    assert results["fit-0"]["metrics"]["val/loss"] == results["fit-1"]["metrics"]["val/loss"]


def test_negative_control_lightning_alone_pads_the_evaluation(tmp_path):
    seed_everything(3, verbose=False)
    trainer = build_trainer(
        preset="ddp_sim",
        logger=None,
        output=tmp_path,
        callbacks=WriteResults(tmp_path / "results"),
        enable_progress_bar=False,
    )
    trainer.callbacks = [callback for callback in trainer.callbacks if type(callback).__name__ != "ExactResume"]
    trainer._accelerator_connector.use_distributed_sampler = True
    data = ToyData(length=5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*replicates some samples.*")
        trainer.test(ToyModule(), data, verbose=False)
    evaluated = [index for rank in (0, 1) for index in torch.load(f"{tmp_path}/results-test-{rank}")["evaluated"]]
    assert len(evaluated) == 6
