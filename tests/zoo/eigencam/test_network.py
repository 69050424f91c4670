import pytest
import torch

import zoo
from zoo.eigencam.layers import find_cam_layer
from zoo.eigencam.network import SmallCNN


def test_shapes_and_size():
    network = SmallCNN()
    assert network(torch.randn(2, 3, 48, 48)).shape == (2, 6)
    spec = find_cam_layer(network, (1, 3, 48, 48))
    assert (spec.name, spec.shape) == ("features", (64, 12, 12))
    assert isinstance(zoo.get_network("eigencam-cnn", num_classes=3), SmallCNN)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"num_classes": 0}, "num_classes"), ({"widths": []}, "widths"), ({"widths": [4, 0]}, "widths")],
)
def test_bad_sizes_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        SmallCNN(**arguments)
