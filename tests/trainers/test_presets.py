import pytest

from datamodules.graphs import SubstructureCounting
from tests.zoo.spe import test_contract
from trainers import build_trainer
from trainers.catalogue import list_presets, preset_arguments
from zoo.spe import SPEModule


def test_the_multi_gpu_preset_trains_a_network_with_batch_norm(tmp_path):
    """On two CPU processes; converting the zoo's norms to torch's SyncBatchNorm, as Lightning would, breaks them."""
    on_cpu = {"accelerator": "cpu", "devices": 2, "strategy": "zoo_ddp_fork"}
    quiet = {"logger": None, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = build_trainer(preset="ddp", output=tmp_path, max_epochs=1, **on_cpu, **quiet)
    trainer.fit(
        SPEModule(**test_contract.TestSPEGINE.arguments),
        SubstructureCounting(batch_size=8, num_train=16, num_val=8, num_test=8),
    )
    assert trainer.state.finished


@pytest.mark.parametrize("preset", list_presets())
def test_no_preset_converts_batch_norms(preset):
    assert "sync_batchnorm" not in preset_arguments(preset)
