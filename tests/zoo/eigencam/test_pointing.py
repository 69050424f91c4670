"""Pointing games by loops over pixels."""

import cv2
import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from zoo.eigencam.pointing import EnergyPointing, PointingGame

SIZE = (20, 24)
CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)


def example(count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 3, 2, 2, generator=generator) * torch.tensor([24.0, 20.0])
    boxes = torch.cat((corners.amin(-2), (corners.amax(-2) + 1)), dim=-1)
    boxes[:, 1] = boxes[:, 1].ceil()
    return {
        "maps": torch.rand(count, 5, 6, generator=generator),
        "boxes": boxes,
        "num_boxes": torch.randint(1, 4, (count,), generator=generator),
        "image_size": SIZE,
    }


def masks_of(boxes, num_boxes, **_):
    """Return masks of boxes, pixel centre by pixel centre."""
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.uint8)
    for mask, image_boxes, number in zip(masks, boxes.tolist(), num_boxes.tolist(), strict=True):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                mask[y, x] = any(x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1 for x0, y0, x1, y1 in image_boxes[:number])
    return masks


def hits_by_loops(maps, masks, tolerance):
    for scoremap, mask in zip(maps.numpy(), masks.numpy(), strict=True):
        resized = cv2.resize(scoremap.astype(float), SIZE[::-1], interpolation=cv2.INTER_LINEAR).round(9)
        resized[mask == 255] = -np.inf
        py, px = np.unravel_index(resized.argmax(), SIZE)
        yield any((y - py) ** 2 + (x - px) ** 2 <= tolerance**2 for y, x in np.argwhere(mask == 1))


@pytest.mark.parametrize("tolerance", [0, 2.3])
def test_pointing_game(tolerance):
    arguments = example()
    masks = masks_of(**arguments)
    expected = np.mean(list(hits_by_loops(arguments["maps"], masks, tolerance)))
    assert 0.1 < expected < 0.9
    boxes, by_mask = PointingGame(tolerance=tolerance), PointingGame("masks", tolerance=tolerance)
    boxes.update(**arguments)
    by_mask.update(arguments["maps"], masks=masks)
    assert float(boxes.compute()) == float(by_mask.compute()) == pytest.approx(expected)


def test_tolerance_is_a_distance_between_pixels():
    maps = torch.zeros(1, *SIZE)
    maps[0, 5, 20] = 1.0
    for x1, hit in ((7, True), (6, False)):  # the box's last pixel is 6, or 5
        game = PointingGame(tolerance=14)
        game.update(maps, torch.tensor([[[2.0, 4, x1, 8]]]), torch.tensor([1]), SIZE)
        assert game.compute() == hit


def test_ignored_pixels_are_no_object_and_not_pointed_at():
    arguments = example()
    masks = masks_of(**arguments)
    masks[torch.rand(masks.shape, generator=torch.Generator().manual_seed(7)) < 0.3] = 255
    game, energy = PointingGame("masks"), EnergyPointing("masks")
    for metric in (game, energy):
        metric.update(arguments["maps"], masks=masks)
    assert float(game.compute()) == pytest.approx(np.mean(list(hits_by_loops(arguments["maps"], masks, 0))))
    shares = []
    for scoremap, mask in zip(arguments["maps"].double().numpy(), masks.numpy(), strict=True):
        resized = cv2.resize(scoremap, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        shares.append(resized[mask == 1].sum() / resized[mask != 255].sum())
    assert float(energy.compute()) == pytest.approx(np.mean(shares))


def test_of_several_maxima_the_first_counts():
    maps = torch.zeros(2, *SIZE)
    maps[0, 3, 4] = maps[0, 3, 5] = maps[0, 2, 9] = 1.0
    game = PointingGame()
    game.update(maps, torch.tensor([[[9.0, 2, 10, 3]], [[0.0, 0, 1, 1]]]), torch.tensor([1, 1]), SIZE)
    assert game.compute() == 1


def test_classes_are_played_one_by_one_and_averaged():
    arguments = example()
    labels = torch.randint(5, (40, 3), generator=torch.Generator().manual_seed(3)) + 1
    labels[torch.arange(3) >= arguments["num_boxes"][:, None]] = -1
    game = PointingGame(num_classes=7)
    game.update(**arguments, box_labels=labels)
    shares = []
    for label in range(7):
        hits = []
        for i in range(40):
            chosen = [k for k in range(arguments["num_boxes"][i]) if labels[i, k] == label]
            if chosen:
                boxes = arguments["boxes"][i : i + 1, chosen]
                mask = masks_of(boxes, torch.tensor([len(chosen)]))
                hits += hits_by_loops(arguments["maps"][i : i + 1], mask, 0)
        shares += [np.mean(hits)] if hits else []
    assert len(shares) == 5
    assert float(game.compute()) == pytest.approx(np.mean(shares))


def test_energy_pointing():
    arguments = example()
    masks = masks_of(**arguments)
    boxes, by_mask = EnergyPointing(), EnergyPointing("masks")
    boxes.update(**arguments)
    by_mask.update(arguments["maps"], masks=masks)
    shares = []
    for scoremap, mask in zip(arguments["maps"].double().numpy(), masks.numpy(), strict=True):
        resized = cv2.resize(scoremap, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        shares.append(resized[mask == 1].sum() / resized.sum())
    assert float(boxes.compute()) == float(by_mask.compute()) == pytest.approx(np.mean(shares))


def test_energy_closed_forms():
    maps = torch.zeros(3, *SIZE)
    maps[0, 2:4, 3:8] = 0.5
    maps[1] = 1.0
    energy = EnergyPointing()
    energy.update(maps, torch.tensor([[[3.0, 2, 8, 4]]] * 3), torch.tensor([1, 1, 1]), SIZE)
    assert float(energy.compute()) == pytest.approx((1 + 10 / 480 + 0) / 3)


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    arguments = example(10)
    arguments["box_labels"] = torch.randint(4, (10, 3), generator=torch.Generator().manual_seed(3))
    parts = []
    for a, b in ((0, 1), (1, 5), (5, 10)):
        parts.append({k: v if k == "image_size" else v[a:b] for k, v in arguments.items()})
    (tmp_path / "game").mkdir()
    assert_two_processes_equal_one(tmp_path / "game", lambda: PointingGame(num_classes=4), parts, **CLOSE)
    for part in parts:
        del part["box_labels"]
    assert_two_processes_equal_one(tmp_path, EnergyPointing, parts, **CLOSE)


def test_one_call_feeds_all():
    """Arguments have the same names everywhere, so that a collection takes them all."""
    from torchmetrics import MetricCollection

    from zoo.eigencam.localization import LocalizationAccuracy, MaxBoxAcc
    from zoo.eigencam.pixel_ap import PixelAP

    together = MetricCollection(
        {
            "box": MaxBoxAcc(20),
            "localization": LocalizationAccuracy(),
            "pixel_ap": PixelAP(),
            "pointing": PointingGame(),
            "energy": EnergyPointing("masks"),
        }
    )
    arguments = example(4)
    logits, labels = torch.eye(6)[:4], torch.arange(4)
    together.update(**arguments, masks=masks_of(**arguments), logits=logits, labels=labels)
    assert {"max_box_acc", "max_box_acc_v2", "gt_known", "loc1", "pixel_ap", "pointing", "energy"} <= set(
        together.compute()
    )


def test_bad_input_is_refused():
    good = example(3)
    for metric in (PointingGame(), EnergyPointing()):
        for name, value, message in (
            ("maps", good["maps"] * torch.nan, "maps='NaN or infinity'"),
            ("boxes", good["boxes"].flip(-1), "x0 < x1"),
            ("boxes", None, "needs boxes, num_boxes and image_size"),
            ("image_size", (-3, 4), "image_size"),
        ):
            with pytest.raises(ValueError, match=message):
                metric.update(**good | {name: value})
    with pytest.raises(ValueError, match="masks=None"):
        PointingGame("masks").update(**good)
    with pytest.raises(ValueError, match="negative somewhere"):
        EnergyPointing().update(**good | {"maps": -good["maps"]})
    with pytest.raises(ValueError, match="needs box_labels of shape"):
        PointingGame(num_classes=3).update(**good)
    for build, message in (
        (lambda: PointingGame("pixels"), "target='pixels'"),
        (lambda: EnergyPointing("pixels"), "target='pixels'"),
        (lambda: PointingGame(tolerance=-1), "tolerance=-1"),
        (lambda: PointingGame("masks", num_classes=3), "num_classes=3"),
    ):
        with pytest.raises(ValueError, match=message):
            build()
