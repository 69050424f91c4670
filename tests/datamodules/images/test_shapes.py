"""Masks against closed forms, and against each other."""

import numpy as np
import pytest

from datamodules.images.shapes import SHAPES, shape_mask, tight_box

AREAS = {
    "disc": np.pi,
    "square": 1.7**2,
    "triangle": np.sqrt(3) / 4 * np.sqrt(3) ** 2,  # equilateral, with side sqrt(3)
    "cross": 2 * 2 * 0.56 - 0.56**2,
    "ring": np.pi * (1 - 0.55**2),
    "bars": 2 * 2 * 0.44,
}
"""Of the shapes with radius 1."""


@pytest.mark.parametrize("angle", [0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_area_is_that_of_the_closed_form(shape, angle):
    mask = shape_mask(shape, 2000, np.array([1001.3, 998.2]), 600, angle)
    assert mask.sum() == pytest.approx(AREAS[shape] * 600**2, rel=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_symmetric_left_to_right(shape):
    mask = shape_mask(shape, 64, np.array([32, 32]), 20, 0)
    assert np.array_equal(mask, mask[:, ::-1])
    assert np.array_equal(mask, mask[::-1]) == (shape != "triangle")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_quarter_turn_turns_the_mask_clockwise(shape):
    mask = shape_mask(shape, 64, np.array([32, 32]), 20.3, 0)
    assert np.array_equal(shape_mask(shape, 64, np.array([32, 32]), 20.3, np.pi / 2), np.rot90(mask, -1))


def test_the_triangle_points_up():
    box = tight_box(shape_mask("triangle", 100, np.array([50, 50]), 40, 0))
    # The apex is at v = -1, the base at v = 0.5, where the lowest row of pixels has its centres at 69.5.
    half_width = (40 + 19.5) / np.sqrt(3)
    first = np.ceil(50 - half_width - 0.5)
    np.testing.assert_array_equal(box, [first, 11, 100 - first, 70])


def test_shapes_lie_where_they_are_put():
    x, y = np.nonzero(shape_mask("disc", 50, np.array([30.0, 12.0]), 8, 0).T)
    assert (x + 0.5).mean() == pytest.approx(30) and (y + 0.5).mean() == pytest.approx(12)


def test_box_is_end_exclusive():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 5] = True
    assert tight_box(mask).tolist() == [5, 2, 6, 4]
    assert tight_box(mask[:2]).tolist() == [0, 0, 0, 0]
