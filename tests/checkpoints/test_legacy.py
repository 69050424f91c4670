"""Folders written by every format version there has been: they load for ever."""

from pathlib import Path

import pytest
import torch

import checkpoints
from checkpoints.format import FORMAT_VERSION
from tests.checkpoints.toys import batch
from tests.tolerances import tolerance

LEGACY = Path(__file__).parent / "legacy"


def test_there_is_a_folder_of_every_version():
    assert sorted(path.name for path in LEGACY.iterdir()) == [f"v{version}" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("folder", sorted(LEGACY.iterdir()), ids=lambda folder: folder.name)
def test_it_loads_and_predicts_what_it_did(closed_list, folder):
    toy = checkpoints.load(folder)
    assert toy.network.weight.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert toy.steps.item() == 3
    expected = batch()["x"] @ torch.tensor([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]) + torch.tensor([10.5, 19.5])
    torch.testing.assert_close(toy.predict_step(batch()).detach(), expected, **tolerance(torch.float32))
