"""ADCC and ARCC image by image."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.tolerances import NETWORK, tolerance
from tests.zoo.eigencam.classifiers import SIZE, batches, example, probability
from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from tests.zoo.eigencam.test_road import SOLVED, changes_by_loops
from zoo.eigencam.adcc import ADCC, ARCC, coherency, complexity, harmonic_mean

CLOSE = tolerance(torch.float64, NETWORK)


def explain(images):
    """Return a map of half the resolution that depends on the image."""
    return images.abs().sum(1)[:, ::2, ::2]


def pearson(first, second):
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def parts_by_loops(arguments):
    """Return coherency, complexity and drop of each image."""
    heatmaps = interpolate(arguments["maps"][:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0]
    rows = []
    for image, heatmap, label in zip(arguments["images"], heatmaps, arguments["classes"], strict=True):
        masked = image * heatmap
        again = interpolate(explain(masked[None])[:, None], size=SIZE, mode="bilinear", align_corners=False)[0, 0]
        before = probability(arguments["network"], image, label)
        drop = max(0, before - probability(arguments["network"], masked, label)) / before
        rows.append(((1 + pearson(heatmap.numpy(), again.numpy())) / 2, float(heatmap.abs().mean()), drop))
    return np.array(rows)


def approx(values, error=CLOSE["rtol"]):
    return pytest.approx(values, rel=error, abs=error)


def test_adcc_image_by_image():
    arguments = example(6)
    metric = ADCC(batch_size=4)
    for part in batches(arguments, 1, 5):
        metric.update(**part, explain=explain)
    parts = parts_by_loops(arguments)
    adcc = 3 / (1 / parts[:, 0] + 1 / (1 - parts[:, 1]) + 1 / (1 - parts[:, 2]))
    coherent, complexities, drop = parts.mean(0)
    result = {name: float(value) for name, value in metric.compute().items()}
    expected = {
        "adcc": adcc.mean(),
        "adcc_coherency": coherent,
        "adcc_complexity": complexities,
        "adcc_average_drop": drop,
    }
    assert result == approx(expected)


def test_arcc_image_by_image():
    arguments = example(4)
    ramp = torch.linspace(0, 1e-3, SIZE[0] * SIZE[1], dtype=torch.float64).reshape(SIZE)
    arguments["maps"] = 0.99 * interpolate(arguments["maps"][:, None], size=SIZE, mode="bilinear")[:, 0] + ramp
    metric = ARCC(seed=2)
    metric.update(**arguments, explain=explain)
    parts = parts_by_loops(arguments)
    changes = changes_by_loops(**arguments, percentiles=(20, 40, 60, 80), seed=2)
    road = (changes[:, 1] - changes[:, 0]) / 2
    with np.errstate(divide="ignore"):
        arcc = 3 / (1 / parts[:, 0] + 1 / (1 - parts[:, 1]) + 1 / np.clip(2 * road, 0, 1))
    result = {name: float(value) for name, value in metric.compute().items()}
    expected = {"arcc": arcc.mean(), "arcc_coherency": parts[:, 0].mean(), "arcc_complexity": parts[:, 1].mean()}
    assert result == approx(expected | {"arcc_road": road.mean()}, SOLVED)
    assert list(result) == ["arcc", "arcc_coherency", "arcc_complexity", "arcc_road"]


def test_closed_forms():
    maps = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(coherency(maps, 2 * maps + 1), ones, **tolerance(torch.float64, NETWORK))
    torch.testing.assert_close(coherency(maps, -maps), 0 * ones, **tolerance(torch.float64, NETWORK))
    assert torch.equal(coherency(maps, torch.ones_like(maps)), 0.5 * ones)
    assert torch.equal(complexity(torch.full((3, 2, 2), -0.25)), 0.25 * ones)
    assert harmonic_mean(ones, ones / 2, ones / 4).tolist() == pytest.approx([3 / 7] * 3)
    assert harmonic_mean(ones, 0 * ones).tolist() == [0, 0, 0]


def test_explaining_may_use_gradients():
    """A class-discriminative method inside the metric, which itself records none."""

    def sensitivity(images):
        with torch.inference_mode(False), torch.enable_grad():
            images = images.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(arguments["network"](images).sum(), images)
        return gradient.abs().sum(1)

    arguments = example(2)
    with torch.inference_mode():
        metric = ADCC()
        metric.update(**arguments, explain=sensitivity)
    assert 0 < metric.compute()["adcc"] < 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("build", [ADCC, ARCC])
def test_two_processes_equal_one(build, tmp_path):
    parts = [part | {"explain": explain} for part in batches(example(5), 1, 1, 3)]
    assert_two_processes_equal_one(tmp_path, build, parts, **CLOSE)


def test_one_call_feeds_all():
    from torchmetrics import MetricCollection

    from zoo.eigencam.faithfulness import AverageDrop
    from zoo.eigencam.insertion import InsertionDeletion
    from zoo.eigencam.road import ROAD

    together = MetricCollection([AverageDrop(), InsertionDeletion(), ROAD(), ADCC(), ARCC()])
    together.update(**example(2), explain=explain)
    names = {"average_increase", "insertion", "deletion", "road_morf", "adcc", "arcc"}
    assert names <= set(together.compute())


def test_bad_input_is_refused():
    for name, value, message in (
        ("maps", torch.full((2, 4, 5), 1.5), "maps="),
        ("explain", lambda images: images, "maps="),
        ("explain", lambda images: images[:, 0] * torch.nan, "maps="),
    ):
        with pytest.raises(ValueError, match=message):
            ADCC().update(**example(2) | {"explain": explain} | {name: value})
    with pytest.raises(ValueError, match="percentiles="):
        ARCC(percentiles=(100,))
