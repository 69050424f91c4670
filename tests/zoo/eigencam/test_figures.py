import numpy as np
import torch
from PIL import Image

from zoo.eigencam.figures import compared_maps, components, displayed, overlay


def test_one_row_per_map_and_one_column_per_image():
    images, maps = torch.randn(3, 3, 16, 16), torch.rand(3, 16, 16)
    boxes, num_boxes = torch.tensor([[[1.0, 2, 5, 6]]]).repeat(3, 2, 1), torch.tensor([1, 2, 0])
    figure = compared_maps(images, {"a": maps, "b": 1 - maps}, boxes, num_boxes)
    assert len(figure.axes) == 9
    assert [len(axis.patches) for axis in figure.axes[:3]] == [1, 2, 0]
    assert np.array_equal(figure.axes[4].images[1].get_array(), maps[1].numpy())


def test_components_show_what_they_explain():
    figure = components(torch.randn(3, 16, 16), torch.randn(2, 4, 4), torch.tensor([0.75, 0.125]))
    assert [axis.get_title() for axis in figure.axes] == ["", "component 1: 75.0%", "component 2: 12.5%"]


def test_overlay_has_the_size_of_the_image_and_is_red_where_the_map_is_high():
    image = Image.new("RGB", (60, 40), "black")
    heatmap = torch.zeros(8, 8)
    heatmap[:, :4] = 1
    drawn = np.asarray(overlay(image, heatmap)).astype(int)
    assert drawn.shape == (40, 60, 3)
    assert drawn[20, 5, 0] > drawn[20, 5, 2] and drawn[20, 55, 2] > drawn[20, 55, 0]
    boxed = np.asarray(overlay(image, heatmap, [10.0, 5.0, 30.0, 35.0])).astype(int)
    changed = (boxed != drawn).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 34, 10, 29)


def test_images_are_shown_from_their_darkest_to_their_lightest():
    pixels = displayed(torch.randn(2, 3, 8, 8) * 7 + 3)
    assert pixels.shape == (2, 8, 8, 3) and pixels.min() == 0 and np.isclose(pixels.max((1, 2, 3)), 1).all()
