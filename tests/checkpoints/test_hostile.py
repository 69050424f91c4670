"""Files made to harm: nothing is executed, nothing large is allocated, nothing but a `CheckpointError` comes out."""

import json
import pickle
import struct
import tracemalloc

import pytest
import torch

import checkpoints
from checkpoints import errors
from checkpoints.format import CONFIG, WEIGHTS
from tests.checkpoints.test_errors import edit_config, replace


def safetensors_bytes(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "empty": b"",
    "shorter than its length field": b"abc",
    "header longer than the file": safetensors_bytes(b"{}", length=50_000_000),
    "header of 4 EiB": safetensors_bytes(b"{}", length=2**62),
    "header is no JSON": safetensors_bytes(b"nonsense"),
    "header nested 100 000 deep": safetensors_bytes(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "shape overflows": safetensors_bytes({"a": tensor(shape=(2**40, 2**40), offsets=(0, 0))}),
    "40 GB without data": safetensors_bytes({"a": tensor(shape=(10**10,), offsets=(0, 4 * 10**10))}),
    "negative shape": safetensors_bytes({"a": tensor(shape=(-1,))}, b"1234"),
    "negative offset": safetensors_bytes({"a": tensor(offsets=(-4, 0))}, b"1234"),
    "overlapping tensors": safetensors_bytes({"a": tensor(), "b": tensor()}, b"1234"),
    "data after the last tensor": safetensors_bytes({"a": tensor()}, b"12345678"),
    "unknown dtype": safetensors_bytes({"a": tensor(dtype="PICKLE")}, b"1234"),
    "dtype that torch may lack": safetensors_bytes({"a": tensor(dtype="F8_E8M0", shape=(4,))}, b"1234"),
    "dtype that is not stored": safetensors_bytes({"a": tensor(dtype="BF16", shape=(2,))}, b"1234"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_safetensors(folder, kind):
    replace(folder, WEIGHTS, HOSTILE[kind])
    tracemalloc.start()
    try:
        with pytest.raises(errors.CorruptFileError, match=WEIGHTS):
            checkpoints.load(folder)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


class Payload:
    executed = False

    def __reduce__(self):
        return (setattr, (Payload, "executed", True))


def test_a_pickle_under_the_name_of_the_weights_is_not_executed(folder):
    replace(folder, WEIGHTS, pickle.dumps({"network.weight": Payload()}))
    with pytest.raises(errors.CorruptFileError):
        checkpoints.load(folder)
    assert not Payload.executed


def test_a_torch_pickle_is_not_executed(folder, tmp_path):
    torch.save({"network.weight": Payload()}, tmp_path / "weights.pt")
    replace(folder, WEIGHTS, (tmp_path / "weights.pt").read_bytes())
    with pytest.raises(errors.CorruptFileError):
        checkpoints.load(folder)
    assert not Payload.executed


def test_the_payload_would_have_bitten():
    pickle.loads(pickle.dumps(Payload()))
    assert Payload.executed
    Payload.executed = False


def test_a_class_path_in_the_config_is_not_followed(folder):
    edit_config(folder, class_path="os.system")
    with pytest.raises(errors.MalformedConfigError, match="unknown class_path"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"text"',
        "{",
        "nonsense",
        "\x00",
        '{"format_version": 1, "format_version": 1}',
        '{"format_version": NaN}',
        '{"format_version": true}',
        '{"format_version": "1"}',
        '{"format_version": 0}',
        '{"format_version": -1}',
        "{}",
        '{"format_version": ' + "9" * 5000 + "}",
        "[" * 200_000,
        '{"format_version": 1}',
    ],
)
def test_malformed_config(folder, text):
    (folder / CONFIG).write_text(text)
    with pytest.raises(errors.MalformedConfigError):
        checkpoints.load(folder)


def test_config_that_is_no_text(folder):
    (folder / CONFIG).write_bytes(b"\xff\xfe\xfa{}")
    with pytest.raises(errors.MalformedConfigError):
        checkpoints.load(folder)


def test_config_of_a_gigabyte_is_not_read(folder):
    with (folder / CONFIG).open("r+b") as stream:
        stream.truncate(10**9)
    with pytest.raises(errors.CorruptFileError, match="at most"):
        checkpoints.load(folder)
