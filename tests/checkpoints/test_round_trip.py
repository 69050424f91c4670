"""What is saved comes back bit for bit, and saving twice gives the same bytes."""

import pytest
import torch

import checkpoints
from checkpoints.format import FILES, WEIGHTS
from tests.checkpoints.toys import batch, save, trained_toy

pytestmark = pytest.mark.usefixtures("closed_list")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_has_the_four_files_and_no_others(folder):
    assert sorted(contents(folder)) == sorted(FILES)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_state_and_predictions_are_bit_identical(toy, folder):
    loaded = checkpoints.load(folder)
    assert not loaded.training
    assert loaded.hparams == toy.hparams
    assert loaded.state_dict().keys() == toy.state_dict().keys()
    for name, tensor in toy.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor) and loaded.state_dict()[name].dtype == tensor.dtype
    assert torch.equal(loaded.predict_step(batch()), toy.eval().predict_step(batch()))


def test_a_text_with_a_separator_is_a_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert checkpoints.load(f"./{folder.name}").hparams["width"] == 4
    assert checkpoints.load(str(folder)).hparams["width"] == 4


def test_double_precision_survives(tmp_path):
    toy = trained_toy().double()
    folder = save(toy, tmp_path / "double")
    loaded = checkpoints.load(folder)
    assert loaded.network.weight.dtype == torch.float64
    assert torch.equal(loaded.network.weight, toy.network.weight)
    assert checkpoints.info(folder)["reference"]["dtype"] == "float64"


def test_the_same_module_gives_the_same_bytes(toy, folder, tmp_path):
    again = save(toy, tmp_path / "elsewhere" / folder.name)
    assert contents(again) == contents(folder)
    # Saving what was loaded changes nothing either: nothing is lost or added on the way.
    assert contents(save(checkpoints.load(folder), tmp_path / "loaded" / folder.name)) == contents(folder)


def test_strides_and_shared_memory_do_not_show(tmp_path):
    plain, odd = trained_toy(), trained_toy()
    odd.load_state_dict(plain.state_dict())
    odd.network.weight.data = plain.network.weight.data.t().contiguous().t()
    odd.network.bias.data = torch.stack([plain.network.bias.data, plain.target_mean])[0]
    assert not odd.network.weight.is_contiguous()
    first, second = save(plain, tmp_path / "a" / "toy"), save(odd, tmp_path / "b" / "toy")
    assert contents(first)[WEIGHTS] == contents(second)[WEIGHTS]


def test_tensors_that_share_memory_are_stored_each(tmp_path):
    toy = trained_toy()
    toy.network.bias.data = toy.target_mean
    loaded = checkpoints.load(save(toy, tmp_path / "shared"))
    assert torch.equal(loaded.network.bias, toy.target_mean)


def test_saving_and_loading_leave_module_and_generator_alone(toy, tmp_path):
    toy.train()
    state = torch.get_rng_state()
    checkpoints.load(save(toy, tmp_path / "quiet"))
    assert torch.equal(torch.get_rng_state(), state)
    assert toy.training and toy.dropout.training


def test_without_verification_the_reference_is_not_run(folder, monkeypatch):
    monkeypatch.setattr("tests.checkpoints.toys.Toy.predict_step", None)
    assert checkpoints.load(folder, verify=False).hparams["width"] == 4


def test_names_recipes_and_the_kind_of_weights_are_recorded(toy, tmp_path):
    info = checkpoints.info(save(toy, tmp_path / "folder", name="toy-numbers.v2", recipe=None, weights="ema"))
    assert (info["name"], info["recipe"], info["weights"]) == ("toy-numbers.v2", None, "ema")


def test_metrics_may_be_tensors(toy, tmp_path):
    folder = save(toy, tmp_path / "tensors", metrics={"test/mae": torch.tensor(0.25)})
    assert checkpoints.info(folder)["metrics"] == {"test/mae": 0.25}


def test_verify_accepts_what_was_saved(folder):
    checkpoints.verify(folder)
