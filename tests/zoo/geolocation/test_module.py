"""The ensemble on the generated Earth: what it should learn there, and how far it is from the best."""

import math
from types import SimpleNamespace

import pytest
import torch

from datamodules.earth import SyntheticEarth
from tests.zoo.geolocation.test_contract import PREDICTORS
from trainers import build_trainer
from zoo.geolocation import CoverageVsArea, GeoEnsemble
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.sphere import EARTH_RADIUS_KM, distance_km

BEST = {"view": 1.0, "set_prior": 1.0, "cover": 1.0, "population": 1.0}
PRODUCT = {"view": 1.0, "prior": 1.0, "cover": 1.0, "population": 1.0}
PAINTED = {"view": 1.0, "prior": 1.0, "cover_painted": 1.0, "population_painted": 1.0}
ALL = {
    **PREDICTORS,
    "cover_painted": {**PREDICTORS["cover"], "entry": "cover", "source": "cover", "divide_by": "none", "pooled": False},
    "population_painted": {
        **PREDICTORS["population"],
        "entry": "population",
        "source": "population",
        "divide_by": "none",
        "pooled": False,
    },
    "set_prior": {"kind": "static", "entry": "stratum", "size": 3, "pooled": False},
}
STRATA = ["urban", "rural", "wild"]


def earth(**changes):
    made = SyntheticEarth(
        **{"nside": 16, "lmax": 32, "num_train": 1000, "num_val": 10, "num_test": 300, "batch_size": 50, **changes}
    )
    made.prepare_data()
    made.setup()
    return made


def fitted(datamodule, **changes):
    module = GeoEnsemble(ALL, nside=16, strata=STRATA, **changes)
    module.predictors.fill(datamodule.maps, datamodule.priors)
    train = datamodule.dataset("train")
    return module.fit_batches([train.__getitems__(rows.tolist()) for rows in torch.arange(len(train)).split(100)])


def judged(module, datamodule):
    test = datamodule.dataset("test")
    with torch.no_grad():
        for number, rows in enumerate(torch.arange(len(test)).split(100)):
            module.test_step(test.__getitems__(rows.tolist()), number)
    names = ["learned", *module.compare]
    return {
        name: metrics.compute() for name, metrics in zip(names, [module.test_metrics, *module.compared], strict=True)
    }


def test_honest_predictors_get_exponents_of_one():
    module = fitted(earth())
    weights = dict(zip(module.pooled, module.pool.coefficients[0].tolist(), strict=True))
    assert weights == pytest.approx(dict.fromkeys(PRODUCT, 1.0), abs=0.2)


def test_wrong_confidence_is_undone():
    module = fitted(earth(overconfidence=4.0))
    weights = dict(zip(module.pooled, module.pool.coefficients[0].tolist(), strict=True))
    assert weights["view"] == pytest.approx(0.25, abs=0.05)


def test_the_product_of_likelihoods_is_the_best_where_it_was_trained_and_the_painted_is_not():
    datamodule = earth()
    module = fitted(datamodule, compare={"best": BEST, "product": PRODUCT, "painted": PAINTED})
    results = judged(module, datamodule)
    urban, wild = {}, {}
    for name, metrics in results.items():
        value = {key.split("/")[-1]: float(number) for key, number in metrics.items()}
        urban[name], wild[name] = value["urban_bits"], value["wild_bits"]
    assert urban["product"] == pytest.approx(urban["best"], abs=1e-3)
    assert urban["learned"] == pytest.approx(urban["best"], abs=0.1)
    assert urban["best"] > urban["painted"] + 0.05
    assert wild["best"] > wild["product"] + 0.3 > wild["painted"] + 0.6


def test_the_best_possible_posterior_is_calibrated():
    datamodule = earth(num_test=600)
    module = fitted(datamodule)
    calibration, sharp = CoverageVsArea(module.grid), CoverageVsArea(module.grid)
    test = datamodule.dataset("test")
    for rows in torch.arange(len(test)).split(500):
        batch = test.__getitems__(rows.tolist())
        maps = module.predictors(batch, BEST)
        posterior = sum(maps.values()) + module.predictors.log_base
        calibration.update(posterior, batch["cell"], log=True)
        sharp.update(2 * posterior, batch["cell"], log=True)
    bound = 0.05  # of 1800 images, false alarm below 1e-3
    assert float(calibration.compute()["calibration_error"]) < bound
    assert float(sharp.compute()["calibration_error"]) > bound


def test_no_weight_depends_on_what_it_may_not_see():
    module = fitted(earth(num_train=100), weights="stratum", gate="bucket", num_gates=6)
    batch = earth().dataset("test").__getitems__([0, 1])
    with pytest.raises(ValueError, match="an entry 'bucket'"):
        module({key: value for key, value in batch.items() if key != "bucket"})


def test_truth_by_place_or_by_cell():
    datamodule = earth(num_train=100)
    module = fitted(datamodule)
    batch = datamodule.dataset("test").__getitems__([0, 1, 2])
    by_cell = module.predict_step(batch)
    places = {key: value for key, value in batch.items() if key != "cell"}
    assert "needed_area" not in module.predict_step(places)
    places["latlon"] = HEALPixGrid(16).centers[batch["cell"]]
    by_place = module.predict_step(places)
    assert torch.equal(by_place["needed_area"], by_cell["needed_area"])
    with pytest.raises(ValueError, match="'cell' or 'latlon'"):
        module.truth({})


def test_recall_of_what_is_predicted():
    datamodule = earth(num_train=100)
    module = fitted(datamodule)
    batch = datamodule.dataset("test").__getitems__(list(range(20)))
    module.predict_step({key: value for key, value in batch.items() if key != "cell"})
    assert module.summaries() == {}
    needed = torch.cat([module.predict_step(batch)["needed_area"] for _ in range(2)])
    rows = module.summaries()["recall"]
    cell = float(module.grid.areas[0])
    for row in rows:
        # Each truth is found somewhere in its own cell.
        least = float((needed + cell <= row["area_km2"]).double().mean())
        most = float((needed - cell <= row["area_km2"]).double().mean())
        assert row["images"] == 40
        assert least <= row["recall"] <= most
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
    assert rows[-1]["recall"] > 0.9
    described = module.predict_step(batch)
    distance = distance_km(
        torch.stack([described["latitude"], described["longitude"]], 1), module.grid.centers[batch["cell"]]
    )
    for row in module.summaries()["accuracy"]:
        assert row["images"] == 60
        assert row["within"] == pytest.approx(float((distance <= row["radius_km"]).double().mean()))
    module.on_predict_start()
    far = {**batch, "latlon": torch.tensor([[90.0, 0.0]]).expand(20, 2)}
    place = module.predict_step(far)["latitude"]
    near = [row["within"] for row in module.summaries()["accuracy"]]
    assert near[2] == pytest.approx(float(((90 - place) * math.pi / 180 * EARTH_RADIUS_KM <= 2500).double().mean()))
    module.on_predict_start()
    assert module.summaries() == {}


def test_figures_of_a_test(tmp_path):
    datamodule = earth(num_train=100, num_test=10)
    module = fitted(datamodule, compare={"best": BEST})
    trainer = build_trainer(preset="cpu", output=tmp_path, logger=None, enable_progress_bar=False)
    trainer.test(module, datamodule, verbose=False)
    assert {path.name for path in tmp_path.glob("figures/*.png")} == {"test_maps.png", "test_recall.png"}
    assert module.figures() == {}


def test_at_least_one_predictor_is_pooled():
    with pytest.raises(ValueError, match="pooled=True"):
        GeoEnsemble({"view": {"kind": "point", "pooled": False}})


@pytest.mark.parametrize("floor", [0.0, 1.0])
def test_a_product_forbids_nothing(floor):
    with pytest.raises(ValueError, match="floor"):
        GeoEnsemble({"view": {"kind": "point"}}, nside=1, floor=floor)


def test_no_process_is_left_without_images():
    module = GeoEnsemble(ALL, nside=16)
    module.trainer = SimpleNamespace(datamodule=earth(num_train=3, batch_size=4), world_size=4)
    with pytest.raises(ValueError, match=r"num_train=3.*each of the 4 processes"):
        module.setup("fit")
    module.trainer.world_size = 3
    module.setup("fit")
