import pytest
import torch

from datamodules.graphs import SubstructureCounting
from tests.zoo.spe import test_contract
from trainers import build_trainer
from zoo.spe import SPEModule

ARGUMENTS = test_contract.TestSPEGINE.arguments
QUIET = {"preset": "cpu", "logger": None, "enable_progress_bar": False, "enable_model_summary": False}


@pytest.fixture
def data():
    return SubstructureCounting(batch_size=8, num_train=16, num_val=8, num_test=8)


def trainer(folder, **arguments):
    return build_trainer(output=folder, **QUIET, **{"max_epochs": 1, **arguments})


def test_statistics_of_the_training_targets_are_taken_over(data, tmp_path):
    module = SPEModule(**ARGUMENTS)
    trainer(tmp_path).fit(module, data)
    targets = torch.cat([graph.y for graph in data.datasets["train"]]).double()
    torch.testing.assert_close(module.target_mean.double(), targets.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(module.target_std.double(), targets.std(0, correction=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stage", ["fit", "validate", "test", "predict"])
def test_other_targets_than_the_modules_are_refused(stage, data, tmp_path):
    module = SPEModule(**{**ARGUMENTS, "target_names": ["penalised_logp"]})
    with pytest.raises(ValueError, match=r"target_names=\['penalised_logp'\] but the data has \['3-cycle'"):
        getattr(trainer(tmp_path), stage)(module, datamodule=data)


def test_fit_takes_loaders_of_the_users_own(data, tmp_path):
    data.prepare_data()
    data.setup()
    module = SPEModule(**ARGUMENTS)
    trainer(tmp_path).fit(module, data.train_dataloader(), data.val_dataloader())
    assert torch.equal(module.target_std, torch.ones(4))


def test_the_figure_shows_the_last_test_only(data, tmp_path):
    module = SPEModule(**ARGUMENTS)
    assert module.figures() == {}
    run = trainer(tmp_path)
    run.test(module, data, verbose=False)
    assert len(module.figures()["predictions"].axes) == 4
    trainer(tmp_path / "again").fit(module, data)
    assert module.figures() == {}


def test_targets_are_not_rounded_by_mixed_precision(data):
    data.prepare_data()
    data.setup()
    batch = next(iter(data.test_dataloader()))
    batch.y = batch.y + 1 / 3
    with torch.autocast("cpu", torch.bfloat16):
        _, targets = SPEModule(**ARGUMENTS)._errors(batch)
    torch.testing.assert_close(targets, batch.y.float(), rtol=0, atol=0)


def test_metrics_are_in_units_of_the_training_deviation(data, tmp_path):
    module = SPEModule(**ARGUMENTS)
    run = trainer(tmp_path)
    run.fit(module, data)
    metrics = run.test(module, data, verbose=False)[0]
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        errors = ((module.eval().predict_step(batch) - batch.y).abs() / module.target_std).double().mean(0)
    assert metrics["test/mae"] == pytest.approx(float(errors.mean()), rel=1e-5)
    assert metrics["test/mae_4-cycle"] == pytest.approx(float(errors[1]), rel=1e-5)
