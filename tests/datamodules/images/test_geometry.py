"""Images as torchvision prepares them; boxes and masks that go where the pixels go."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from datamodules.images.geometry import Resize
from datamodules.images.normalization import NORMALIZATIONS
from tests.datamodules.images.toys import random_image

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


@pytest.mark.parametrize("interpolation", MODES)
@pytest.mark.parametrize("size", [(97, 61), (61, 97), (50, 50), (43, 200)])
def test_cropping_is_torchvisions_preset(size, interpolation):
    image = random_image(*size)
    preset = ImageClassification(crop_size=32, resize_size=37, interpolation=MODES[interpolation])
    ours = Resize(32, 37, interpolation).image(image)
    assert ours.dtype == torch.uint8
    assert torch.equal(NORMALIZATIONS["imagenet"].normalize(ours.float() / 255), preset(image))


def test_warping_is_pillows_resize():
    image = random_image(97, 61)
    ours = Resize(40).image(image)
    assert np.array_equal(ours.permute(1, 2, 0), np.asarray(image.resize((40, 40), Image.Resampling.BILINEAR)))
    same = random_image(40, 40)
    assert np.array_equal(Resize(40).image(same).permute(1, 2, 0), np.asarray(same))


@pytest.mark.parametrize("resize_size", [None, 80, 100])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (240, 320), (160, 160)])
def test_boxes_and_masks_go_where_the_pixels_go(width, height, resize_size):
    box = np.array([[width // 4, height // 4, width * 5 // 8, height * 3 // 4]])
    mask = np.zeros((height, width), dtype=np.uint8)
    x0, y0, x1, y1 = box[0]
    mask[y0:y1, x0:x1] = 1
    resize = Resize(80, resize_size)
    image = resize.image(Image.fromarray(np.stack([mask * 255] * 3, -1)))
    (mapped,), kept = resize.boxes(box, height, width)
    assert kept.tolist() == [True] and mapped.dtype == torch.float32
    for rows, columns in (resize.mask(mask).nonzero(as_tuple=True), (image[0] > 127).nonzero(as_tuple=True)):
        extent = [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]
        assert (mapped - torch.tensor(extent)).abs().max() <= 1


def test_boxes_are_scaled_exactly():
    boxes, kept = Resize(100).boxes(np.array([[0, 0, 50, 20], [10, 5, 20, 10]]), height=20, width=50)
    assert boxes.tolist() == [[0, 0, 100, 100], [20, 25, 40, 50]] and kept.all()
    # The shorter side becomes 20 pixels, the longer one 50, of which 15 are cut off at each end.
    boxes, kept = Resize(20, 20).boxes(np.array([[0, 0, 50, 20], [0, 0, 10, 10], [20, 5, 60, 10]]), height=20, width=50)
    assert boxes.tolist() == [[0, 0, 20, 20], [5, 5, 20, 10]] and kept.tolist() == [True, False, True]


def test_an_image_may_have_no_box():
    boxes, kept = Resize(20).boxes(np.zeros((0, 4)), 10, 10)
    assert boxes.shape == (0, 4) and kept.shape == (0,)


def test_ignored_pixels_stay_ignored():
    mask = np.array([[0, 1], [255, 1]], dtype=np.uint8)
    assert Resize(4).mask(mask).tolist() == np.kron(mask, np.ones((2, 2))).tolist()


@pytest.mark.parametrize(("size", "resize_size"), [((300, 451), None), ((300, 451), 256), ((64, 48), 300)])
def test_the_frame_is_what_the_boxes_are_mapped_by(size, resize_size):
    height, width = size
    resize = Resize(224, resize_size)
    x0, y0, x1, y1 = resize.frame(height, width).double().tolist()
    inside = np.array([[x0 + 0.2 * (x1 - x0), y0 + 0.3 * (y1 - y0), x0 + 0.6 * (x1 - x0), y0 + 0.7 * (y1 - y0)]])
    boxes, _ = resize.boxes(inside, height, width)
    np.testing.assert_allclose(boxes.numpy(), [[0.2 * 224, 0.3 * 224, 0.6 * 224, 0.7 * 224]], atol=1e-3)
