"""Scaling, resizing and fusing of maps against OpenCV and by hand."""

import cv2
import numpy as np
import pytest
import torch

from zoo.eigencam.heatmaps import aug_smooth, correlation, fuse, heatmap, min_max

GENERATOR_SEED = 0


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(GENERATOR_SEED))


def scaled_by_hand(image):
    image = image - image.min()
    return image / (1e-7 + image.max())


def test_min_max():
    values = maps(3, 5, 6)
    for value, found in zip(values.numpy(), min_max(values).numpy(), strict=True):
        np.testing.assert_allclose(found, scaled_by_hand(value), atol=1e-6)
    assert torch.equal(min_max(torch.full((2, 3, 3), 7.0)), torch.zeros(2, 3, 3))
    torch.testing.assert_close(min_max(1e3 * values), min_max(values), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("size", [(224, 224), (48, 60), (7, 7), (4, 3)])
def test_heatmap_is_opencvs(rectify, size):
    values = maps(4, 7, 7)
    for value, found in zip(values.numpy(), heatmap(values, size, rectify).numpy(), strict=True):
        resized = cv2.resize(scaled_by_hand(np.maximum(value, 0) if rectify else value), size[::-1])
        np.testing.assert_allclose(found, resized, atol=2e-4)


def test_heatmap_is_torchs():
    values = maps(4, 7, 7)
    resized = torch.nn.functional.interpolate(
        min_max(values)[:, None], size=(224, 224), mode="bilinear", align_corners=False
    )[:, 0]
    torch.testing.assert_close(heatmap(values, (224, 224), False), resized, rtol=0, atol=1e-5)


def test_volumes_are_resized_along_all_axes():
    assert heatmap(maps(2, 3, 4, 5), (6, 8, 10), rectify=True).shape == (2, 6, 8, 10)


def test_fusions():
    first, second = min_max(maps(2, 8, 8)), min_max(maps(2, 8, 8).flip(-1))
    shares = [torch.tensor([0.9, 0.2]), torch.tensor([0.3, 0.2])]
    torch.testing.assert_close(fuse([first, second], shares, "mean"), min_max((first + second) / 2))
    torch.testing.assert_close(fuse([first, second], shares, "max"), min_max(torch.maximum(first, second)))
    weighted = (first * shares[0][:, None, None] + second * shares[1][:, None, None]) / (shares[0] + shares[1])[
        :, None, None
    ]
    torch.testing.assert_close(fuse([first, second], shares, "energy"), min_max(weighted))
    torch.testing.assert_close(fuse([first], shares[:1]), first)


def test_bad_fusions_are_named():
    with pytest.raises(ValueError, match="fusion='sum'"):
        fuse([maps(1, 2, 2)], [torch.ones(1)], "sum")
    with pytest.raises(ValueError, match="heatmaps"):
        fuse([], [])


def test_correlation_is_numpys():
    first, second = maps(3, 4, 5), maps(3, 5, 4).reshape(3, 4, 5) ** 2
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    np.testing.assert_allclose(correlation(first, second).numpy(), expected, atol=1e-6)
    assert torch.equal(correlation(first, torch.ones(3, 4, 5)), torch.zeros(3))


def test_augmentation_smoothing_is_the_mean_over_six_views():
    images = maps(2, 3, 8, 8)
    calls = []

    def explain(views):
        calls.append(views)
        return views[:, 0] ** 2

    expected = (images[:, 0] ** 2) * (0.9**2 + 1 + 1.1**2) / 3
    torch.testing.assert_close(aug_smooth(explain, images), expected)
    assert len(calls) == 6
