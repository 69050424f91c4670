"""What cannot be published is refused, and then no folder appears."""

import os

import pytest
import torch

import checkpoints
from checkpoints import errors, files
from tests.checkpoints.toys import PROVENANCE, Toy, batch, save, trained_toy

pytestmark = pytest.mark.usefixtures("closed_list")


@pytest.fixture
def target(tmp_path):
    """A folder to be; nothing may be left beside it."""
    yield tmp_path / "published" / "toy"
    assert not list((tmp_path / "published").glob("*"))


def test_missing_provenance(toy, target):
    incomplete = {key: value for key, value in PROVENANCE.items() if key not in ("licence", "seeds")}
    with pytest.raises(errors.MalformedConfigError, match=r"provenance\.seeds, provenance\.licence"):
        save(toy, target, provenance=incomplete)


@pytest.mark.parametrize("name", ["../x", "Toy", "a/b"])
def test_bad_name(toy, target, name):
    with pytest.raises(errors.MalformedConfigError, match="name="):
        save(toy, target, name=name)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_weights(toy, target, dtype):
    toy.register_buffer("spectrum", torch.zeros(2, dtype=dtype))
    with pytest.raises(errors.CheckpointError, match=r"spectrum is torch\.complex.*view_as_real"):
        save(toy, target)


def test_half_precision_weights(toy, target):
    toy.register_buffer("short", torch.zeros(2, dtype=torch.float16))
    with pytest.raises(errors.CheckpointError, match=r"short is torch\.float16.*float64, float32"):
        save(toy, target)


def test_a_state_that_is_no_tensor(toy, target, monkeypatch):
    monkeypatch.setattr(Toy, "get_extra_state", lambda self: {"a": 1}, raising=False)
    monkeypatch.setattr(Toy, "set_extra_state", lambda self, state: None, raising=False)
    with pytest.raises(errors.CheckpointError, match="_extra_state is a dict"):
        save(toy, target)


def test_predictions_that_are_not_finite(toy, target):
    toy.target_mean[0] = torch.nan
    with pytest.raises(errors.CheckpointError, match="not finite"):
        save(toy, target)


def test_hyper_parameters_that_are_not_plain(toy, target):
    toy.hparams["width"] = torch.tensor(4)
    with pytest.raises(errors.MalformedConfigError, match="cannot be written"):
        save(toy, target)


def test_hyper_parameters_that_do_not_rebuild_the_module(toy, target):
    toy.hparams["width"] = 5
    with pytest.raises(errors.TensorMismatchError):
        save(toy, target)


def test_behaviour_that_the_state_does_not_carry(toy, target):
    toy.scale = 2.0
    with pytest.raises(errors.ReferenceMismatchError):
        save(toy, target)


def test_a_buffer_that_is_not_persistent(toy, target):
    del toy.target_mean
    toy.register_buffer("target_mean", torch.ones(4), persistent=False)
    with pytest.raises(errors.CheckpointError):
        save(toy, target)


def test_a_subclass_is_not_saved_as_its_parent(target):
    class Other(Toy):
        pass

    with pytest.raises(errors.UnknownMethodError, match="Other"):
        save(Other(), target)


def test_an_unknown_method(toy, target, monkeypatch):
    monkeypatch.setattr(Toy, "method", "mine")
    with pytest.raises(errors.UnknownMethodError, match="unknown method 'mine'"):
        save(toy, target)


def test_an_existing_folder_is_kept(toy, folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(errors.CheckpointError, match="exists already"):
        save(toy, folder, metrics={"test/mae": 0.1})
    assert (folder / "config.json").read_bytes() == before


def test_overwriting_swaps_and_leaves_nothing_beside(folder):
    other = trained_toy(width=2)
    save(other, folder, overwrite=True)
    assert torch.equal(checkpoints.load(folder).network.weight, other.network.weight)
    assert os.listdir(folder.parent) == [folder.name]


def test_a_failed_overwrite_keeps_the_old_folder(toy, folder):
    broken = trained_toy()
    broken.scale = 3.0
    with pytest.raises(errors.ReferenceMismatchError):
        save(broken, folder, overwrite=True)
    assert torch.equal(checkpoints.load(folder).network.weight, toy.network.weight)
    assert os.listdir(folder.parent) == [folder.name]


def test_a_failed_swap_keeps_the_old_folder(toy, folder, monkeypatch):
    rename = files.Path.rename

    def failing(self, target):
        if target == folder and (self / "config.json").read_bytes() != before:
            raise OSError("disk full")
        return rename(self, target)

    before = (folder / "config.json").read_bytes()
    monkeypatch.setattr(files.Path, "rename", failing)
    with pytest.raises(OSError, match="disk full"):
        save(trained_toy(width=2), folder, overwrite=True)
    assert (folder / "config.json").read_bytes() == before
    assert os.listdir(folder.parent) == [folder.name]


def test_a_folder_with_other_things_is_never_overwritten(toy, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(errors.CheckpointError, match="other things"):
        save(toy, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_quicker_process_wins(toy, tmp_path):
    target = tmp_path / "toy"
    with pytest.raises(errors.CheckpointError, match="exists already"), files.new_folder(target):
        save(toy, target)
    checkpoints.verify(target)
    assert os.listdir(tmp_path) == ["toy"]


def test_a_module_on_a_trainer_is_saved_as_it_is(toy, tmp_path):
    from lightning.pytorch import Trainer

    toy.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    save(toy, tmp_path / "toy")
    assert toy._trainer is not None


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_file(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_file(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_batch_is_the_stored_input(folder):
    from checkpoints import tensors

    stored = tensors.read(folder / "reference.safetensors", checkpoints.info(folder)["files"]["reference.safetensors"])
    assert torch.equal(stored["input.x"], batch()["x"])
