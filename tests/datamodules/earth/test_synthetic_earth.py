"""The generated Earth has the distributions that it claims, and its predictors claim what they should."""

import math

import numpy as np
import pytest
import torch

from datamodules.earth import SyntheticEarth
from datamodules.earth.photographs import (
    ATTRIBUTES,
    SETS,
    Camera,
    class_priors,
    confusion,
    head_posteriors,
    prior_of,
    take,
)
from datamodules.earth.world import NUM_COVERS, WATER, generate
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import direction

TINY = {"nside": 8, "lmax": 16, "num_train": 40, "num_val": 10, "num_test": 6}


def datamodule(**changes):
    made = SyntheticEarth(**{**TINY, **changes})
    made.prepare_data()
    made.setup()
    return made


@pytest.fixture(scope="module")
def world():
    return generate(16, 32, seed=0)


def test_land_covers_and_people(world):
    assert float(world.land.double().mean()) == pytest.approx(0.29, abs=1e-3)
    assert set(world.cover[~world.land].tolist()) == {WATER}
    counts = torch.bincount(world.cover[world.land], minlength=NUM_COVERS)
    assert counts[WATER] == 0
    climates = counts[:9].reshape(3, 3).sum(1) / counts.sum()
    torch.testing.assert_close(climates, torch.full((3,), 1 / 3), atol=2e-3, rtol=0)
    assert bool((world.population[~world.land] == 0).all())
    assert bool((world.population[world.land] > 0).all())
    logarithm = world.population[world.land].log10()
    expected = logarithm.ceil().clamp(0, 5).long()
    assert torch.equal(world.bucket[world.land], expected)


def test_the_planet_depends_on_the_seed_alone():
    one, same, other = generate(8, 16, 0), generate(8, 16, 0), generate(8, 16, 1)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.land, other.land)


def test_places_follow_the_priors(world):
    camera, directions = Camera(30.0, 0.6, 1.0, 1.0), direction(HEALPixGrid(16).centers)
    for name in SETS:
        entries = take(world, directions, name, 20_000, camera, np.random.default_rng(0))
        prior = prior_of(world, name)
        assert float(prior.sum()) == pytest.approx(1)
        drawn = torch.bincount(entries["cell"], minlength=len(prior)) / 20_000
        for shares in (world.cover, world.bucket):
            expected = torch.zeros(10, dtype=torch.float64).index_add_(0, shares, prior)
            found = torch.zeros(10, dtype=torch.float64).index_add_(0, shares, drawn.double())
            assert float((found - expected).abs().max()) < 5 * 0.5 / math.sqrt(20_000)


def test_views_are_von_mises_fisher(world):
    camera, directions = Camera(30.0, 0.6, 2.0, 1.0), direction(HEALPixGrid(16).centers)
    entries = take(world, directions, "wild", 20_000, camera, np.random.default_rng(0))
    view = entries["view"].double()
    torch.testing.assert_close(view.norm(dim=1), torch.full((20_000,), 60.0).double(), rtol=1e-5, atol=0)
    cosine = (view / 60 * directions[entries["cell"]]).sum(1)
    mean = 1 / math.tanh(30) - 1 / 30
    assert float(cosine.mean()) == pytest.approx(mean, abs=5 * float(cosine.std()) / math.sqrt(20_000))


def test_heads_claim_the_posterior_of_their_training():
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    honest = head_posteriors(prior, Camera(1.0, 0.6, 1.0, 1.0))
    joint = confusion(3, 0.6) * prior[:, None]
    torch.testing.assert_close(honest, (joint / joint.sum(0)).T)
    torch.testing.assert_close(confusion(3, 0.6).sum(1), torch.ones(3, dtype=torch.float64))
    sharp = head_posteriors(prior, Camera(1.0, 0.6, 1.0, 2.0))
    torch.testing.assert_close(sharp, honest**2 / (honest**2).sum(1, keepdim=True))


def test_heads_are_calibrated_where_they_were_trained(world):
    camera, directions = Camera(30.0, 0.6, 1.0, 1.0), direction(HEALPixGrid(16).centers)
    entries = take(world, directions, "urban", 40_000, camera, np.random.default_rng(0))
    for name, classes in (("cover", world.cover), ("population", world.bucket)):
        truth = torch.nn.functional.one_hot(classes[entries["cell"]], ATTRIBUTES[name]).double()
        difference = (truth - entries[name]).mean(0)
        assert float(difference.abs().max()) < 5 * 0.5 / math.sqrt(40_000)
        assert float(class_priors(world)[name].sum()) == pytest.approx(1)


def test_splits_and_sets():
    made = datamodule(train_set="mixed")
    assert {split: len(samples) for split, samples in made.datasets.items()} == {"train": 40, "val": 10, "test": 18}
    assert made.dataset("test").entries["stratum"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert torch.bincount(made.dataset("train").entries["stratum"]).tolist() == [14, 13, 13]
    assert set(datamodule(train_set="rural").dataset("val").entries["stratum"].tolist()) == {1}
    assert not torch.equal(made.dataset("train").entries["cell"][:10], made.dataset("val").entries["cell"])


def test_maps_of_the_predictors():
    made = datamodule()
    cells = 768
    assert made.maps["cover"].shape == made.maps["population"].shape == (cells,)
    assert {name: tuple(made.maps[name].shape) for name in ("train_prior", "land", "set_prior")} == {
        "train_prior": (1, cells),
        "land": (1, cells),
        "set_prior": (3, cells),
    }
    assert torch.equal(made.maps["set_prior"][0], made.maps["train_prior"][0])
    assert torch.equal(made.maps["set_prior"][2], made.maps["land"][0])
    torch.testing.assert_close(made.maps["set_prior"].exp().sum(1), torch.ones(3, dtype=torch.float64))


def test_same_seed_same_bits_and_batches():
    one, same, other = datamodule(), datamodule(batch_size=7), datamodule(seed=1)
    for key, entry in one.dataset("test").entries.items():
        assert torch.equal(entry, same.dataset("test").entries[key])
    assert not torch.equal(one.dataset("test").entries["cell"], other.dataset("test").entries["cell"])
    batch = next(iter(one.test_dataloader()))
    assert torch.equal(batch["view"], one.dataset("test").entries["view"])
    assert one.metadata()["sha256"] == same.metadata()["sha256"] != other.metadata()["sha256"]
    assert one.target_statistics() == ([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nside", 0),
        ("lmax", 24),
        ("num_train", 0),
        ("num_val", 0),
        ("num_test", 0),
        ("train_set", "sea"),
        ("kappa", 0.0),
        ("accuracy", 1.0),
        ("overconfidence", 0.0),
        ("sharpness", -1.0),
        ("batch_size", 0),
        ("seed", -1),
    ],
)
def test_arguments_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        SyntheticEarth(**{**TINY, name: value})


def arrays(number=3, **changes):
    given = {
        "view": np.ones((number, 3)),
        "cover": np.full((number, 10), 0.1),
        "population": np.full((number, 6), 1 / 6),
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def read(tmp_path, **changes):
    np.savez(tmp_path / "own.npz", **arrays(**changes))
    return SyntheticEarth(**TINY).read_inputs(str(tmp_path / "own.npz"))


def test_a_users_own_predictors(tmp_path):
    names, samples = read(tmp_path, latlon=np.zeros((3, 2)), id=np.array(["a", "b", "c"]))
    assert names == ["a", "b", "c"]
    assert len(samples) == 3
    assert samples[0]["latlon"].dtype == torch.float64
    assert samples[0]["gate"].shape == (2,)
    names, samples = read(tmp_path, cover=np.where(np.arange(768) < 5, 0.0, np.full((3, 768), -np.inf)))
    assert names == ["0", "1", "2"]
    assert samples[0]["cover"].shape == (768,)
    assert "gate" not in samples[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": None}, "lacks view"),
        ({"photo": np.zeros((3, 4))}, "unknown arrays photo"),
        ({"cover": np.zeros((3, 9))}, "cover has shape"),
        ({"cover": np.zeros((2, 10))}, "cover has shape"),
        ({"view": np.full((3, 3), np.nan)}, "row 0 of view"),
        ({"view": np.full((3, 3), -np.inf)}, "row 0 of view"),
        ({"cover": np.full((3, 768), np.inf)}, "row 0 of cover"),
        ({"view": np.full((3, 3), 1e300)}, "row 0 of view holds NaN or infinity"),
        (
            {"cover": np.where(np.arange(3)[:, None] == 1, -np.inf, np.zeros((3, 768)))},
            "row 1 of cover holds -inf alone",
        ),
        (
            {"cover": np.where(np.arange(3)[:, None] == 2, -0.1, np.full((3, 10), 0.1))},
            "row 2 of cover holds a negative",
        ),
        ({"population": np.zeros((3, 6))}, "row 0 of population"),
        ({"view": np.array([["x"] * 3] * 3)}, "view has shape"),
        ({"latlon": np.full((3, 2), 91.0)}, "latitude 91"),
        ({"latlon": np.zeros((2, 2))}, "latlon has shape"),
        ({"id": np.array(["a"])}, "id has shape"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, **changes)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "own.npz"
    with pytest.raises(FileNotFoundError):
        SyntheticEarth(**TINY).read_inputs(str(path))
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match="plain arrays"):
        SyntheticEarth(**TINY).read_inputs(str(path))
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="single array"):
        SyntheticEarth(**TINY).read_inputs(str(tmp_path / "one.npy"))
    np.savez(path, view=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        SyntheticEarth(**TINY).read_inputs(str(path))
