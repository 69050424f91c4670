"""ROAD percentile by percentile, with a direct solver."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.zoo.eigencam.classifiers import SIZE, batches, example, probability
from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from tests.zoo.eigencam.test_imputation import fill_directly
from zoo.eigencam.road import NOISE, ROAD, removed_count

# What the iterations of the solver leave, through the network of `classifiers`.
SOLVED = 1e-6


def changes_by_loops(network, images, maps, classes, percentiles, seed):
    """Return (images, 2): most and least relevant first, with thresholds by NumPy's percentiles as in `grad-cam`."""
    noise = NOISE * torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(seed)).double()
    heatmaps = interpolate(maps[:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0]
    changes = np.zeros((len(images), 2))
    for i, (image, heatmap, label) in enumerate(zip(images, heatmaps.numpy(), classes, strict=True)):
        before = probability(network, image, label)
        for percent in percentiles:
            for column, relevance in enumerate((heatmap, 1 - heatmap)):
                removed = relevance >= np.percentile(relevance, 100 - percent)
                filled = torch.from_numpy(fill_directly(image.numpy(), removed))
                filled = torch.where(torch.from_numpy(removed), filled + noise, filled)
                changes[i, column] += (probability(network, filled, label) - before) / len(percentiles)
    return changes


def test_changes_image_by_image():
    arguments = example(4)
    # Bilinear resizing repeats values at the border; a ramp makes them differ.
    ramp = torch.linspace(0, 1e-3, SIZE[0] * SIZE[1], dtype=torch.float64).reshape(SIZE)
    arguments["maps"] = interpolate(arguments["maps"][:, None], size=SIZE, mode="bilinear")[:, 0] + ramp
    metric = ROAD(seed=3, batch_size=3)
    for part in batches(arguments, 1, 3):
        metric.update(**part)
    morf, lerf = changes_by_loops(**arguments, percentiles=range(10, 100, 10), seed=3).mean(0)
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result == pytest.approx({"road": (lerf - morf) / 2, "road_morf": morf, "road_lerf": lerf}, abs=SOLVED)
    assert abs(result["road"]) > 100 * SOLVED


def test_count_is_that_of_percentiles():
    for pixels in (2, 35, 48 * 48, 121):
        values = np.random.default_rng(0).permutation(pixels)
        for percent in (1, 10, 25, 50, 90, 99):
            expected = (values >= np.percentile(values, 100 - percent)).sum()
            assert removed_count(pixels, percent) == expected
            assert removed_count(pixels, percent) < pixels


def test_a_map_of_what_counts_scores_high():
    """Brightness of the left half decides; a map of it must beat its complement."""
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.1
    images[:, :, 4:12, 2:7] += 2.0

    def network(views):
        bright = views[..., :8].mean((1, 2, 3)) * 12
        return torch.stack((bright, 1.5 - bright), dim=1)

    good = torch.zeros(8, 16, 16)
    good[:, 4:12, 2:7] = 1.0
    scores = []
    for maps in (good, 1 - good):
        metric = ROAD()
        metric.update(network, images, maps, torch.zeros(8, dtype=torch.int64))
        scores.append(float(metric.compute()["road"]))
    assert scores[0] > 0.1
    assert scores[1] < -0.1


def test_equal_values_are_removed_in_parts():
    """A map that is mostly 0: exactly p % are removed, never the whole image."""
    images = torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(1)) + 1
    maps = torch.zeros(1, 10, 10)
    maps[0, 4, 4] = 1.0
    counts = []

    def network(views):
        counts.append(int((views != images).any(1).sum()))
        return torch.zeros(len(views), 2)

    metric = ROAD(percentiles=(10, 50, 90))
    metric.update(network, images, maps, torch.tensor([0]))
    assert counts == [0, 10, 50, 90, 10, 50, 90]
    assert not metric.compute()["road"].isnan()


def test_noise_depends_on_the_seed_alone():
    parts = batches(example(3), 1, 2)
    results = []
    for seed, order in ((0, (0, 1)), (0, (1, 0)), (1, (0, 1))):
        metric = ROAD((30,), seed)
        torch.manual_seed(len(results))
        for index in order:
            metric.update(**parts[index])
        results.append(float(metric.compute()["road"]))
    assert results[0] == pytest.approx(results[1], rel=1e-12)
    assert results[0] != pytest.approx(results[2], rel=1e-9)


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    assert_two_processes_equal_one(tmp_path, lambda: ROAD((20, 60)), batches(example(5), 1, 2, 2), rtol=0, atol=1e-12)


def test_works_under_inference_mode_and_in_half_precision():
    arguments = example(2)
    half = {name: value.half() if name in ("images", "maps") else value for name, value in arguments.items()}
    half["network"] = lambda views: arguments["network"](views.double())
    results = []
    with torch.inference_mode():
        for given in (arguments, half):
            metric = ROAD((50,))
            metric.update(**given)
            results.append(float(metric.compute()["road"]))
    assert results[0] == pytest.approx(results[1], abs=0.02)


def test_bad_arguments_are_refused():
    for build, message in (
        (lambda: ROAD(percentiles=()), "percentiles="),
        (lambda: ROAD(percentiles=(0, 10)), "percentiles="),
        (lambda: ROAD(percentiles=(0.5,)), "percentiles="),
        (lambda: ROAD(batch_size=-1), "batch_size=-1"),
        (lambda: ROAD().update(**example(2) | {"maps": torch.full((2, 4, 5), torch.nan)}), "maps="),
    ):
        with pytest.raises(ValueError, match=message):
            build()
