"""Insertion and deletion pixel by pixel, as the published evaluation does it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import conv2d, interpolate

from tests.tolerances import LINEAR_ALGEBRA, NETWORK, tolerance
from tests.zoo.eigencam.classifiers import SIZE, batches, example, probability
from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from zoo.eigencam.insertion import InsertionDeletion, blur, ranks

CLOSE = tolerance(torch.float64, NETWORK)


def published_blur(images):
    impulse = np.zeros((11, 11))
    impulse[5, 5] = 1
    kernel = torch.zeros(3, 3, 11, 11, dtype=images.dtype)
    for channel in range(3):
        kernel[channel, channel] = torch.from_numpy(gaussian_filter(impulse, 5))
    return conv2d(images, kernel, padding=5)


def test_blur_is_the_published_one():
    images = torch.randn(2, 3, 14, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(blur(images), published_blur(images), **tolerance(torch.float64, LINEAR_ALGEBRA))
    inside = blur(torch.ones(1, 1, 30, 30))[0, 0, 5:-5, 5:-5]
    torch.testing.assert_close(inside, torch.ones_like(inside))


def test_ranks():
    assert ranks(torch.tensor([[[0.1, 0.9], [0.1, 0.3]]])).tolist() == [[[2, 0], [3, 1]]]


def area(network, start, end, heatmap, label, step):
    """Change pixels in place, one step after the other."""
    start, order = start.clone().flatten(1), heatmap.flatten().argsort(descending=True, stable=True)
    scores = [probability(network, start.reshape(end.shape), label)]
    for first in range(0, len(order), step):
        chosen = order[first : first + step]
        start[:, chosen] = end.flatten(1)[:, chosen]
        scores.append(probability(network, start.reshape(end.shape), label))
    return np.trapezoid(scores, dx=1 / (len(scores) - 1))


@pytest.mark.parametrize(("step", "batch_size"), [(None, 64), (7, 2), (1, 500)])
def test_areas_image_by_image(step, batch_size):
    arguments = example(5)
    metric = InsertionDeletion(step, batch_size)
    for part in batches(arguments, 2, 3):
        metric.update(**part)
    heatmaps = interpolate(arguments["maps"][:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0]
    areas = {"insertion": [], "deletion": []}
    for image, heatmap, label in zip(arguments["images"], heatmaps, arguments["classes"], strict=True):
        arguments_of_area = (arguments["network"], heatmap, label, step or SIZE[1])
        network, *rest = arguments_of_area
        areas["insertion"].append(area(network, published_blur(image[None])[0], image, *rest))
        areas["deletion"].append(area(network, image, torch.zeros_like(image), *rest))
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result == pytest.approx({name: np.mean(values) for name, values in areas.items()}, rel=1e-9)
    assert abs(result["insertion"] - result["deletion"]) > 0.01


def test_steps_of_one_row_change_224_pixels_at_224():
    """With a counting network: the confidence is a function of how many pixels are left."""
    images = torch.ones(1, 3, 224, 224)
    sizes = []

    def network(views):
        sizes.extend((views[:, 0] != 0).sum((1, 2)).tolist())
        return torch.zeros(len(views), 2)

    metric = InsertionDeletion()
    metric.update(network, images, torch.rand(1, 224, 224, generator=torch.Generator()), torch.tensor([0]))
    deletion = sizes[225:]
    assert len(sizes) == 450
    assert deletion == [224 * 224 - 224 * i for i in range(225)]
    assert metric.compute() == {"insertion": 0.5, "deletion": 0.5}


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    assert_two_processes_equal_one(tmp_path, InsertionDeletion, batches(example(5), 1, 2, 2), **CLOSE)


def test_bad_arguments_are_refused():
    for build, message in (
        (lambda: InsertionDeletion(step=0), "step=0"),
        (lambda: InsertionDeletion(batch_size=0), "batch_size=0"),
        (lambda: InsertionDeletion().update(**example(2) | {"maps": torch.zeros(2, 3)}), "maps="),
    ):
        with pytest.raises(ValueError, match=message):
            build()
