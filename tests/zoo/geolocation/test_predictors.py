import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.geolocation.predictors import Predictors, read_predictors
from zoo.geolocation.weights import WeightRule
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import direction

CLOSE = tolerance(torch.float64, LINEAR_ALGEBRA)
CELLS = 48
GIVEN = {
    "view": {"kind": "point"},
    "prior": {"kind": "static", "entry": "stratum", "size": 2},
    "cover": {"kind": "attribute", "size": 3},
    "painted": {"kind": "attribute", "entry": "cover", "source": "cover", "size": 3, "divide_by": "none"},
    "by_area": {"kind": "attribute", "entry": "cover", "source": "cover", "size": 3, "divide_by": "area"},
    "given": {"kind": "map"},
}


def filled(floor=0.0):
    module = Predictors(read_predictors(GIVEN), 2, floor).double()
    generator = torch.Generator().manual_seed(0)
    prior = torch.randn(2, CELLS, dtype=torch.float64, generator=generator)
    prior[0, 0] = -torch.inf
    classes = torch.arange(CELLS) % 5 % 3
    frequencies = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    module.fill({"prior": prior, "cover": classes}, {"cover": frequencies})
    return module, prior, classes, frequencies


def batch():
    cover = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], dtype=torch.float64)
    return {
        "view": torch.tensor([[3.0, 0, 0], [0, 0, -2.0]]),
        "cover": cover,
        "stratum": torch.tensor([1, 1]),
        "given": torch.zeros(2, CELLS),
    }


def test_each_kind():
    module, prior, classes, frequencies = filled()
    maps = module(batch(), GIVEN)
    assert all(entry.shape == (2, CELLS) for entry in maps.values())
    q = batch()["cover"]
    torch.testing.assert_close(maps["cover"], (q / frequencies)[:, classes].log(), **CLOSE)
    torch.testing.assert_close(maps["painted"], q[:, classes].log(), **CLOSE)
    share = torch.bincount(classes) / CELLS
    torch.testing.assert_close(maps["by_area"], (q / share)[:, classes].log(), rtol=1e-6, atol=1e-6)
    relative = torch.log_softmax(prior[1], 0) + math.log(CELLS)
    torch.testing.assert_close(maps["prior"], relative.expand(2, -1), rtol=1e-6, atol=1e-6)
    difference = maps["view"] - batch()["view"].double() @ direction(HEALPixGrid(2).centers).T
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, CELLS), **CLOSE)


def test_static_maps_without_an_entry_are_the_first():
    module, *_ = filled(0.01)
    one = module({"cover": batch()["cover"]}, ["prior"])["prior"]
    torch.testing.assert_close(one, module({"stratum": torch.tensor([0, 0])}, ["prior"])["prior"])
    assert torch.isfinite(one).all()


def test_ready_maps_of_any_kind():
    module, *_ = filled()
    ready = torch.randn(2, CELLS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    maps = module({name: ready for name in ("view", "cover", "stratum", "given")}, GIVEN)
    for name, entry in maps.items():
        torch.testing.assert_close(torch.log_softmax(entry, 1), torch.log_softmax(ready, 1), msg=name)


def test_fractions_mix_classes():
    module, *_ = filled()
    fractions = torch.full((3, CELLS), 1 / 3)
    module.fill({"prior": torch.zeros(2, CELLS), "cover": fractions}, {"cover": torch.tensor([0.5, 0.3, 0.2])})
    found = module(batch(), ["painted"])["painted"]
    torch.testing.assert_close(found, torch.full((2, CELLS), 1 / 3).log().double())


def test_maps_say_nothing_before_they_are_filled():
    module = Predictors(read_predictors(GIVEN), 2, 1e-6)
    for name in ("painted", "prior"):
        entry = module(batch(), [name])[name]
        torch.testing.assert_close(entry, entry[:, :1].expand(-1, CELLS))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "predictors"),
        ({"view": {"kind": "photo"}}, r"predictors\.view\.kind"),
        ({"view": {}}, "a kind"),
        ({"a view": {"kind": "point"}}, "letters, digits"),
        ({"view": {"kind": "point", "sise": 3}}, "did you mean 'size'"),
        ({"view": {"kind": "attribute", "size": 0}}, r"predictors\.view\.size"),
        ({"view": {"kind": "attribute", "divide_by": "people"}}, r"predictors\.view\.divide_by"),
        ({"view": {"kind": "attribute", "power": float("inf")}}, r"predictors\.view\.power"),
        ({"view": {"kind": "point", "pooled": "no"}}, r"predictors\.view\.pooled"),
        (
            {"a": {"kind": "attribute", "size": 2}, "b": {"kind": "attribute", "source": "a", "size": 3}},
            r"predictors\.b\.size",
        ),
    ],
)
def test_predictors_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        read_predictors(given)


def test_order_is_that_of_the_names():
    assert list(read_predictors({"b": {"kind": "map"}, "a": {"kind": "map"}})) == ["a", "b"]


def test_maps_and_batches_are_checked():
    module, prior, classes, frequencies = filled()
    maps, priors = {"prior": prior, "cover": classes}, {"cover": frequencies}
    for changed, other, message in [
        ({"prior": prior}, priors, "cover"),
        ({**maps, "prior": prior[:1]}, priors, "shape of prior"),
        ({**maps, "prior": prior * torch.nan}, priors, "NaN"),
        ({**maps, "prior": torch.full_like(prior, -torch.inf)}, priors, "-inf alone"),
        (maps, {}, "frequencies"),
        (maps, {"cover": frequencies[:2]}, "shapes of cover"),
        (maps, {"cover": 2 * frequencies}, "sums of cover"),
        ({**maps, "cover": torch.ones(3, CELLS)}, priors, "sums of cover"),
        ({**maps, "cover": torch.tensor([1.5, -0.5, 0.0]).expand(CELLS, 3).T}, priors, "map or prior of cover"),
        (maps, {"cover": torch.tensor([1.5, -0.5, 0.0])}, "map or prior of cover"),
        ({**maps, "cover": classes.clone().fill_(3)}, priors, r"map of cover=\[3, 3, 3\].*from 0 to 2"),
        ({**maps, "cover": classes - 1}, priors, r"map of cover=\[-1"),
        ({**maps, "cover": classes[1:]}, priors, r"map of cover=.*\(48,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            module.fill(changed, other)
    for changed, name, message in [
        ({"view": None}, "view", "an entry 'view'"),
        ({"view": torch.zeros(2, 4)}, "view", r"view\.shape"),
        ({"view": torch.full((2, 3), torch.nan)}, "view", "NaN"),
        ({"stratum": torch.tensor([0, 2])}, "prior", r"stratum=\[2\].*from 0 to 1"),
        ({"stratum": torch.tensor([-1, 0])}, "prior", r"stratum=\[-1\]"),
        ({"stratum": torch.tensor([0.0, 1.0])}, "prior", "stratum=.*integers"),
        ({"given": torch.zeros(2, 5)}, "given", "shape of given"),
        ({"given": torch.full((2, CELLS), torch.nan)}, "given", "NaN"),
        ({"given": torch.full((2, CELLS), torch.inf)}, "given", r"\+inf"),
        ({"given": torch.full((2, CELLS), -torch.inf)}, "given", "-inf alone"),
        ({"view": torch.full((2, 3), 1e308, dtype=torch.float64)}, "view", "too large"),
        ({"cover": -batch()["cover"]}, "cover", "negative"),
        ({"cover": torch.zeros(2, 3)}, "cover", "all 0"),
        ({"cover": torch.full((2, 3), torch.nan)}, "cover", "NaN"),
    ]:
        entries = {key: value for key, value in {**batch(), **changed}.items() if value is not None}
        with pytest.raises(ValueError, match=message):
            module(entries, [name])


def rule(**changes):
    arguments = {"pooling": "log", "weights": "scalar", "gate": None, "num_gates": 1, "bands": (), "degrees": 12}
    return WeightRule(**{**arguments, **changes})


def test_features_and_starts():
    like = torch.zeros(1)
    assert torch.equal(rule().features({}, 3, like), torch.ones(3, 1))
    assert torch.equal(rule().start(2), torch.ones(1, 2).double())
    assert torch.equal(rule(pooling="linear").start(2), torch.zeros(1, 2).double())
    assert torch.equal(rule(weights="degree", bands=(2, 5)).start(2), torch.ones(1, 6).double())
    stratum = rule(weights="stratum", gate="set", num_gates=3)
    assert torch.equal(stratum.features({"set": torch.tensor([2, 0])}, 2, like), torch.eye(3)[[2, 0]])
    assert torch.equal(stratum.start(2), torch.ones(3, 2).double())
    gated = rule(weights="gated", gate="gate", num_gates=1)
    assert torch.equal(gated.features({"gate": torch.tensor([[5.0]])}, 1, like), torch.tensor([[1.0, 5.0]]))
    assert torch.equal(gated.start(2), torch.tensor([[1.0, 1.0], [0.0, 0.0]]).double())
    with pytest.raises(ValueError, match="an entry 'set'"):
        stratum.features({}, 2, like)
    with pytest.raises(ValueError, match="integers from 0 to 2"):
        stratum.features({"set": torch.tensor([3, 0])}, 2, like)
    with pytest.raises(ValueError, match=r"gate\.shape"):
        gated.features({"gate": torch.ones(2, 2)}, 2, like)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "max"}, "pooling"),
        ({"weights": "vector"}, "weights"),
        ({"gate": "set"}, "gate"),
        ({"weights": "stratum"}, "gate"),
        ({"num_gates": 0}, "num_gates"),
        ({"bands": (2,)}, "bands"),
        ({"weights": "degree"}, "bands"),
        ({"weights": "degree", "bands": (5, 2)}, "bands"),
        ({"weights": "degree", "bands": (12,)}, "bands"),
        ({"weights": "degree", "bands": (2,), "pooling": "linear"}, "pooling"),
    ],
)
def test_rules_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        rule(**changes)
