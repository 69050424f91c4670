"""Each thing that can be wrong with a folder has its own error."""

import json

import pytest
import torch

import checkpoints
from checkpoints import errors, tensors
from checkpoints.files import sha256
from checkpoints.format import CONFIG, REFERENCE, WEIGHTS, encode


def edit_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_bytes()) | changes
    (folder / CONFIG).write_bytes(encode(config))


def replace(folder, file, data):
    """Replace a file and its digest, as somebody would who can write to the folder."""
    (folder / file).write_bytes(data)
    entry = {"sha256": sha256(data), "bytes": len(data)}
    edit_config(folder, files=checkpoints.info(folder)["files"] | {file: entry})


def edit_tensors(folder, file, change):
    stored = tensors.read(folder / file, checkpoints.info(folder)["files"][file])
    change(stored)
    replace(folder, file, tensors.encode(stored))


def test_all_errors_are_one_family_of_value_errors():
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(classes) == 14
    assert all(issubclass(value, checkpoints.CheckpointError) and issubclass(value, ValueError) for value in classes)


def test_unknown_name():
    with pytest.raises(errors.UnknownCheckpointError, match="unknown checkpoint 'no-such-thing'"):
        checkpoints.load("no-such-thing")


@pytest.mark.parametrize("name", ["..", ".", "", "spe_zinc/../../x", "../x", "/no/such/folder"])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises((errors.UnknownCheckpointError, errors.MissingFileError)):
        checkpoints.load(name)


def test_a_path_is_never_relative_to_the_package(tmp_path, monkeypatch, folder):
    monkeypatch.setattr("checkpoints.shipped.FOLDER", folder.parent)
    monkeypatch.chdir(tmp_path.parent)
    assert checkpoints.list_checkpoints() == [folder.name]
    with pytest.raises(errors.MissingFileError):
        checkpoints.load(f"./{folder.name}")
    with pytest.raises(errors.MissingFileError):
        checkpoints.load(f"x/../{folder.name}")


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS, REFERENCE])
def test_missing_file(folder, file):
    (folder / file).unlink()
    with pytest.raises(errors.MissingFileError, match=file):
        checkpoints.load(folder)


@pytest.mark.parametrize("file", [WEIGHTS, REFERENCE])
def test_truncated_file(folder, file):
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[:-1])
    with pytest.raises(errors.CorruptFileError, match=f"{file} has {len(data) - 1} bytes instead of {len(data)}"):
        checkpoints.load(folder)


@pytest.mark.parametrize("file", [WEIGHTS, REFERENCE])
def test_one_changed_bit_names_both_digests(folder, file):
    data = bytearray((folder / file).read_bytes())
    before = sha256(bytes(data))
    data[-1] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(errors.ChecksumError) as raised:
        checkpoints.load(folder)
    assert before in str(raised.value) and sha256(bytes(data)) in str(raised.value)


def test_the_digest_is_checked_without_verification_too(folder):
    data = bytearray((folder / REFERENCE).read_bytes())
    data[-1] ^= 1
    (folder / REFERENCE).write_bytes(data)
    with pytest.raises(errors.ChecksumError):
        checkpoints.load(folder, verify=False)


def test_missing_key(folder):
    edit_tensors(folder, WEIGHTS, lambda stored: stored.pop("network.bias"))
    with pytest.raises(errors.MissingKeyError, match=r"network\.bias"):
        checkpoints.load(folder)


def test_extra_key(folder):
    edit_tensors(folder, WEIGHTS, lambda stored: stored.update(surprise=torch.zeros(1)))
    with pytest.raises(errors.ExtraKeyError, match="surprise"):
        checkpoints.load(folder)


def test_shape_mismatch(folder):
    edit_tensors(folder, WEIGHTS, lambda stored: stored.update({"network.bias": torch.zeros(5)}))
    with pytest.raises(errors.TensorMismatchError, match=r"network\.bias has shape \(5,\), the module needs \(4,\)"):
        checkpoints.load(folder)


def test_dtype_mismatch(folder):
    edit_tensors(folder, WEIGHTS, lambda stored: stored.update(steps=torch.tensor(17.0)))
    with pytest.raises(errors.TensorMismatchError, match=r"steps is torch\.float32, the module needs torch\.int64"):
        checkpoints.load(folder)


@pytest.mark.parametrize("method", ["spec", "../toy", "os", "tests.checkpoints.toys"])
def test_unknown_method(folder, method):
    edit_config(folder, method=method)
    with pytest.raises(errors.UnknownMethodError, match="unknown method"):
        checkpoints.load(folder)


@pytest.mark.parametrize("hparams", [{"width": 0}, {"widht": 4}, {"width": "4"}, {"width": 10**30}])
def test_bad_hyper_parameters(folder, hparams):
    edit_config(folder, hparams=hparams)
    with pytest.raises(errors.HyperparameterError, match="Toy refuses the stored hyper-parameters"):
        checkpoints.load(folder)


def test_newer_format_is_told_before_anything_else(folder):
    (folder / CONFIG).write_text('{"format_version": 2, "brand_new": true}')
    with pytest.raises(errors.NewerFormatError, match=r"format_version 2.*upgrade"):
        checkpoints.load(folder)


def test_weights_that_do_not_give_the_stored_output(folder):
    edit_tensors(folder, WEIGHTS, lambda stored: stored["target_mean"].add_(0.01))
    with pytest.raises(errors.ReferenceMismatchError, match=r"largest difference 0\.01"):
        checkpoints.load(folder)


def test_code_that_computes_something_else(folder, monkeypatch):
    from tests.checkpoints.toys import Toy

    original = Toy.predict_step
    monkeypatch.setattr(Toy, "predict_step", lambda self, batch, batch_idx=0: original(self, batch) * 1.001)
    with pytest.raises(errors.ReferenceMismatchError, match="computes something else"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("output"),
        lambda stored: stored.pop("input.x"),
        lambda stored: stored.update(output=torch.zeros(2, 5)),
        lambda stored: stored.update({"input.x": torch.zeros(2, 7)}),
        lambda stored: stored.update(output=torch.full((2, 4), torch.nan)),
    ],
)
def test_references_that_cannot_be_reproduced(folder, change):
    edit_tensors(folder, REFERENCE, change)
    with pytest.raises(errors.ReferenceMismatchError):
        checkpoints.load(folder)
