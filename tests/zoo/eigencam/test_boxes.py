"""Boxes of maps and their overlaps, by hand, by OpenCV and by torchvision."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as torchvision_iou

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.eigencam.boxes import (
    THRESHOLDS,
    ThresholdedBoxes,
    box_iou,
    check_boxes,
    contour_boxes,
    largest_boxes,
    rasterize,
    scale_boxes,
    truncate_boxes,
)

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def random_boxes(generator, *shape, side=20):
    corners = torch.rand(*shape, 2, 2, generator=generator) * side
    return torch.cat((corners.amin(-2), corners.amax(-2) + 0.1), dim=-1)


def test_end_exclusive_overlap_is_torchvisions():
    generator = torch.Generator().manual_seed(0)
    first, second = random_boxes(generator, 3, 7), random_boxes(generator, 3, 5)
    expected = torch.stack([torchvision_iou(a, b) for a, b in zip(first.double(), second.double(), strict=True)])
    torch.testing.assert_close(box_iou(first, second), expected, **CLOSE)


def test_inclusive_overlap_counts_the_last_pixel():
    """A box x0..x1 of whole pixels, both inclusive, is the end-exclusive box x0..x1 + 1."""
    generator = torch.Generator().manual_seed(1)
    first, second = random_boxes(generator, 30).floor(), random_boxes(generator, 20).floor()
    one = torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(box_iou(first, second, inclusive=True), box_iou(first + one, second + one), **CLOSE)
    boxes = torch.tensor([[1, 2, 5, 6], [0, 0, 0, 0]]), torch.tensor([[3, 1, 4, 5], [0, 0, 0, 0]])
    expected = torch.tensor([[8 / 27, 0], [0, 1]], dtype=torch.float64)
    torch.testing.assert_close(box_iou(*boxes, inclusive=True), expected, **CLOSE)
    assert box_iou(boxes[0][1:], boxes[1][1:]) == 0


def test_scaled_boxes_are_truncated():
    box = torch.tensor([[[1.0, 2.0, 4.0, 3.0]]])
    assert truncate_boxes(scale_boxes(box, image_size=(20, 10), size=(10, 35))).tolist() == [[[3, 1, 14, 1]]]
    assert scale_boxes(box, (5, 7), (5, 7)).tolist() == box.tolist()


def test_truncation_survives_single_precision():
    """Boxes that were scaled in float32 must not lose a pixel."""
    for width in (375, 427, 500, 640, 999):
        whole = torch.arange(width + 1)
        rounded = whole.float() * (224 / width)
        assert torch.equal(truncate_boxes(rounded.double()), (whole * 224 // width).double())
    assert (torch.tensor(61.0) * (224 / 427)).floor() == 31  # what the guard is for


def test_rasterized_boxes_hold_the_pixels_whose_centres_they_hold():
    generator = torch.Generator().manual_seed(2)
    boxes = torch.cat((random_boxes(generator, 4, 2, side=12), random_boxes(generator, 4, 1, side=12).round()), dim=1)
    valid = torch.rand(4, 3, generator=generator) > 0.3
    masks = rasterize(boxes, valid, (9, 14))
    for image in range(4):
        for y in range(9):
            for x in range(14):
                inside = any(
                    keep and x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1
                    for keep, (x0, y0, x1, y1) in zip(valid[image].tolist(), boxes[image].tolist(), strict=True)
                )
                assert masks[image, y, x] == inside
    assert rasterize(torch.tensor([[[2.0, 1.0, 5.0, 3.0]]]), torch.tensor([[True]]), (9, 14)).sum() == 3 * 2


def parse(picture):
    return np.array([[character != "." for character in row] for row in picture.split()], dtype=np.uint8)


def test_boxes_of_contours():
    mask = parse("""
        .......##
        .###...##
        .#.#.....
        .###.....
        ....#....
    """)
    boxes, largest = contour_boxes(mask)  # the lone pixel touches the ring at a corner: one part
    assert sorted(boxes.tolist()) == [[1, 1, 5, 5], [7, 0, 9, 2]]
    assert boxes[largest].tolist() == [1, 1, 5, 5]


def test_contours_of_holes_and_islands_count_only_in_the_tree():
    mask = parse("""
        #######
        #.....#
        #.....#
        #..#..#
        #.....#
        #######
    """)
    assert contour_boxes(mask)[0].tolist() == [[0, 0, 7, 6]]
    boxes, largest = contour_boxes(mask, "tree")
    assert len(boxes) == 3
    assert [3, 3, 4, 4] in boxes.tolist()
    assert boxes[largest].tolist() == [0, 0, 7, 6]


def test_largest_contour_is_measured_by_area_not_by_pixels():
    mask = parse("""
        #########
        .........
        ###......
        #.#......
        ###......
    """)
    boxes, largest = contour_boxes(mask)
    assert boxes[largest].tolist() == [0, 2, 3, 5]


def test_empty_mask_has_the_box_of_the_first_pixel():
    boxes, largest = contour_boxes(np.zeros((4, 5), np.uint8))
    assert boxes[largest].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("scoremap", "expected"),
    [
        # Examples of the published evaluation's own tests, at thresholds 0, .2, .4, .6, .8.
        (
            [[0, 0, 0, 0, 0], [0, 0.4, 0.4, 0.4, 0.6], [0, 0.4, 1, 0.8, 0.6], [0, 0.4, 0.4, 0.4, 0.6]],
            [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]],
        ),
        (
            [[0.4, 0, 0.2, 0.2, 0.2], [0.4, 0.4, 0, 0.4, 0], [0, 0, 0, 0.4, 0], [1, 0.6, 0.8, 0.2, 0.2]],
            [[0, 0, 4, 3], [0, 0, 2, 2], [0, 3, 3, 3], [2, 3, 3, 3], [0, 3, 1, 3]],
        ),
        ([[0.0] * 3] * 3, [[0, 0, 0, 0]] * 5),
    ],
)
def test_boxes_by_threshold(scoremap, expected):
    candidates = ThresholdedBoxes((np.array(scoremap) * 255).astype(np.uint8), "tree")
    chosen = candidates.boxes[candidates.of_largest(np.arange(len(candidates.boxes)))]
    assert len(chosen) == len(THRESHOLDS) == 1000
    found = chosen[::200].tolist()
    # In the fourth row of the second example all contours enclose nothing: which comes first is up to OpenCV.
    ties = [index for index, box in enumerate(expected) if box == [2, 3, 3, 3]]
    assert [box for i, box in enumerate(found) if i not in ties] == [b for i, b in enumerate(expected) if i not in ties]


def test_largest_boxes_of_maps():
    maps = torch.zeros(3, 6, 8)
    maps[0, 1:4, 2:7] = 0.5
    maps[0, 2, 3] = 1
    maps[1, 5, 7] = 2.0
    assert largest_boxes(maps, 0.4).tolist() == [[2, 1, 7, 4], [7, 5, 8, 6], [0, 0, 0, 0]]
    assert largest_boxes(maps, 0.5).tolist()[0] == [3, 2, 4, 3]
    assert largest_boxes(maps[:0], 0.5).shape == (0, 4)
    for tau in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"tau={tau}"):
            largest_boxes(maps, tau)


def test_bad_boxes_are_refused():
    maps, boxes, count = torch.zeros(2, 3, 3), torch.tensor([[[0.0, 0, 2, 2]] * 2] * 2), torch.tensor([1, 2])
    check_boxes(boxes, count, maps)
    empty, negative, nan = boxes.clone(), boxes.clone(), boxes.clone()
    empty[1, 1, 2], negative[0, 0, 1], nan[0, 0] = 0, -1, torch.nan
    for bad in (empty, negative, nan):
        with pytest.raises(ValueError, match=r"boxes=.*give 0 <= x0 < x1"):
            check_boxes(bad, count, maps)
    check_boxes(empty, torch.tensor([1, 1]), maps)  # padding may be anything
    for bad in ([0, 1], [1, 3]):
        with pytest.raises(ValueError, match=r"num_boxes=.*numbers between 1 and 2"):
            check_boxes(boxes, torch.tensor(bad), maps)
    with pytest.raises(ValueError, match=r"boxes=.*shape \(2, K, 4\)"):
        check_boxes(boxes[0], count, maps)
    with pytest.raises(ValueError, match="num_boxes"):
        check_boxes(boxes, count[:1], maps)
    for image_size in ((0, 5), (5, -1), (5,)):
        with pytest.raises(ValueError, match="image_size"):
            scale_boxes(boxes, image_size, (4, 4))
