"""Small versions of what `scripts/benchmark.py lsm` measures: all variants do the same work."""

import pytest
import torch

from scripts.benchmarks import lsm
from tests.tolerances import tolerance


@pytest.mark.parametrize(
    "make",
    [
        lambda: lsm.block(1, width=8, size=32),
        lambda: lsm.block(4, width=8, size=32),
        lambda: lsm.network(width=8, size=20),
        lambda: lsm.transforms(points=30, batch=2, width=4, modes=3, size=16),
    ],
)
def test_variants_do_the_same(make):
    torch.manual_seed(0)
    case = make()
    (peer,) = case.peers
    expected = case.ours.output()
    assert expected.std() > 1e-6
    scale = float(expected.abs().max())
    torch.testing.assert_close(peer.output() / scale, expected / scale, **tolerance(torch.float32))
    case.ours.step()
    peer.step()
