import contextlib
import os
import pickle
from collections import OrderedDict

import pytest
import torch

from datamodules.pickles import load_tensors


class Payload:
    """Runs a command when it is unpickled without restriction."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class HiddenPayload:
    """Puts the payload where torch's own storage reader would unpickle it."""

    def __init__(self, command: str) -> None:
        self.data = pickle.dumps(Payload(command), protocol=2)  # what torch's safe reader expects

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.data,)


def write(path, value):
    path.write_bytes(pickle.dumps(value))
    return path


def test_tensors_in_containers_are_read(tmp_path):
    value = [{"a": torch.arange(6).view(2, 3).T, "b": torch.tensor([1.5])}, (1, "two", None), OrderedDict(c={3})]
    read = load_tensors(write(tmp_path / "good.pickle", value))
    assert torch.equal(read[0]["a"], value[0]["a"]) and torch.equal(read[0]["b"], value[0]["b"])
    assert read[1:] == value[1:]


def test_an_old_protocol_is_read(tmp_path):
    path = tmp_path / "old.pickle"
    path.write_bytes(pickle.dumps(torch.arange(3), protocol=3))  # Python's default when the benchmarks were published
    assert torch.equal(load_tensors(path), torch.arange(3))


@pytest.mark.parametrize("payload", [Payload, HiddenPayload])
def test_nothing_is_executed(tmp_path, payload):
    canary = tmp_path / "canary"
    path = write(tmp_path / "evil.pickle", [payload(f"touch {canary}")])
    with pytest.raises(ValueError, match=r"evil\.pickle cannot be read"):
        load_tensors(path)
    assert not canary.exists()
    with contextlib.suppress(RuntimeError):  # control: the payload works where nothing holds it back
        pickle.loads(path.read_bytes())
    assert canary.exists()


def test_a_refused_name_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"system, which is refused"):
        load_tensors(write(tmp_path / "evil.pickle", Payload("true")))


@pytest.mark.parametrize("data", [b"", b"not a pickle", pickle.dumps([torch.ones(3)])[:-20]])
def test_a_damaged_file_is_an_error(tmp_path, data):
    (tmp_path / "bad.pickle").write_bytes(data)
    with pytest.raises(ValueError, match=r"bad\.pickle cannot be read"):
        load_tensors(tmp_path / "bad.pickle")
