import pytest
import torch

from zoo.eigencam.network import SmallCNN
from zoo.eigencam.prediction import columns_of, predict_maps
from zoo.eigencam.settings import MapSettings
from zoo.eigencam.view import View


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SmallCNN(5, [8, 16, 16]).eval()


def predict(network, images, **arguments):
    return predict_maps(View(network), images, MapSettings(), threshold=0.5, **arguments)


def test_entries(network):
    images = torch.randn(3, 3, 32, 32)
    prediction = predict(network, images)
    shapes = {name: tuple(value.shape) for name, value in prediction.items()}
    assert shapes == {"heatmap": (3, 32, 32), "raw": (3, 8, 8), "gap": (3,), "boxes": (3, 4), "logits": (3, 5)}
    assert torch.equal(prediction["logits"], network(images))
    for heatmap, (x0, y0, x1, y1) in zip(prediction["heatmap"], prediction["boxes"].int().tolist(), strict=True):
        inside = torch.zeros(32, 32, dtype=torch.bool)
        inside[y0:y1, x0:x1] = True
        above = heatmap > 0.5 * heatmap.max()
        for side in (above[y0, x0:x1], above[y1 - 1, x0:x1], above[y0:y1, x0], above[y0:y1, x1 - 1]):
            assert side.any()


def test_boxes_are_told_in_the_original_image(network):
    images = torch.randn(2, 3, 32, 32)
    plain = predict(network, images)["boxes"]
    frame = torch.tensor([[0.0, 0.0, 64.0, 96.0], [10.0, 20.0, 42.0, 52.0]])
    found = predict(network, images, frame=frame)["boxes"]
    torch.testing.assert_close(found[0], plain[0] * torch.tensor([2.0, 3.0, 2.0, 3.0]))
    torch.testing.assert_close(found[1], plain[1] + torch.tensor([10.0, 20.0, 10.0, 20.0]))


def test_columns(network):
    prediction = predict(network, torch.randn(2, 3, 32, 32))
    columns = columns_of(prediction, list("abcde"))
    assert list(columns) == ["class", "probability", "x0", "y0", "x1", "y1", "gap"]
    assert columns["class"] == ["abcde"[number] for number in prediction["logits"].argmax(1)]
    assert columns_of(prediction, None)["class"] == [str(number) for number in prediction["logits"].argmax(1).tolist()]
    del prediction["logits"]
    assert list(columns_of(prediction, None)) == ["x0", "y0", "x1", "y1", "gap"]


def test_arbitrary_maps_are_told(network):
    class Degenerate(torch.nn.Module):
        """Activations whose singular values are equal."""

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Identity()

        def forward(self, images):
            self.layer(torch.eye(16).reshape(1, 16, 4, 4).expand(len(images), 16, 4, 4))
            return images.mean((2, 3))

    with pytest.warns(UserWarning, match="2 of 2 maps are arbitrary"):
        predict(Degenerate().eval(), torch.randn(2, 3, 8, 8))
