import pytest
import torch

from tests.zoo.koopman.systems import duffing, radial
from zoo.koopman.gram import triangle_of_snapshots


@pytest.fixture(scope="session")
def oscillator():
    x, y = duffing(200)
    return triangle_of_snapshots(*(torch.cat([torch.ones(len(z), 1), radial(z, x[:29])], dim=1) for z in (x, y)))
