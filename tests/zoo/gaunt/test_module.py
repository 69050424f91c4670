from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.molecules import MorseMolecules, ThreeBPA
from datamodules.molecules.statistics import EnergyStatistics
from datamodules.molecules.structure import collate
from tests.paths import SHARED
from zoo.gaunt.errors import ForceFieldErrors
from zoo.gaunt.module import GauntModule

SMALL = {"r_max": 4.0, "channels": 4, "lmax_edge": 2, "lmax_hidden": 1}


def data(**arguments):
    datamodule = MorseMolecules(**{"num_train": 12, "num_val": 6, "num_test": 6, **arguments})
    datamodule.setup()
    return datamodule


def module(datamodule=None, **arguments):
    torch.manual_seed(0)
    made = GauntModule([1, 6, 7, 8], network_kwargs=SMALL, **arguments).double()
    for parameter in made.network.readouts.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    if datamodule is not None:
        made.trainer = SimpleNamespace(datamodule=datamodule)
        made.setup("fit")
    made.log = lambda *args, **kwargs: None
    return made


def test_takes_statistics_from_the_training_set():
    datamodule = data()
    network = module(datamodule).network
    statistics = datamodule.energy_statistics()
    assert network.atomic_energies.tolist() == [statistics.atomic_energies[number] for number in (1, 6, 7, 8)]
    assert network.scale.item() == pytest.approx(statistics.scale)
    assert network.shift.item() == pytest.approx(statistics.shift)
    assert network.avg_num_neighbors.item() == pytest.approx(statistics.avg_num_neighbors)


def test_loss_is_the_published_one_for_structures_of_equal_size():
    datamodule = data()
    trained = module(datamodule, energy_weight=2.0, forces_weight=30.0)
    batch = collate([datamodule.dataset("train")[number] for number in (0, 6)])  # two of the same formula
    prediction = trained(batch)
    energy = (prediction["energy"] - batch[keys.ENERGY]).square() / batch[keys.PTR].diff()
    forces = (prediction["forces"] - batch[keys.FORCES]).square()
    expected = 2.0 * energy.mean() + 30.0 * forces.mean()
    torch.testing.assert_close(trained.training_step(batch), expected, rtol=1e-9, atol=0)


def test_unknown_forces_do_not_count():
    datamodule = data()
    trained = module(datamodule)
    batch = collate(list(datamodule.dataset("train")[:3]))
    batch[keys.FORCES][: int(batch[keys.PTR][1])] = float("nan")
    loss = trained.training_step(batch)
    loss.backward()
    prediction = trained(batch)
    energy = (prediction["energy"] - batch[keys.ENERGY]).square() / batch[keys.PTR].diff()
    squares = (prediction["forces"] - batch[keys.FORCES]).square()
    by_structure = [squares[batch[keys.BATCH] == number].mean() for number in (1, 2)]
    expected = energy.mean() + 1000.0 * sum(by_structure) / 3
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=0)
    assert all(torch.isfinite(parameter.grad).all() for parameter in trained.network.parameters())


def test_energies_lose_no_digits_in_single_precision():
    datamodule = data()
    single = module(datamodule).float()
    sample = datamodule.dataset("train")[0]
    prediction = single(sample)
    interaction = (
        sample[keys.ENERGY] - single.network.atomic_energies[single.network.lookup[sample[keys.NUMBERS]]].sum()
    )
    energy, _ = single._errors(sample, prediction)
    expected = prediction["interaction_energy"].double() - interaction
    assert float((energy.double() - expected).abs().max().detach()) < 1e-5


def test_errors_are_those_of_numpy_in_any_batches():
    random = np.random.default_rng(0)
    sizes, groups = np.array([2, 3, 4, 2, 5]), np.array([0, 1, 1, 0, 1])
    energy, forces = random.normal(size=5), random.normal(size=(16, 3))
    forces[:2] = np.nan
    batch = np.repeat(np.arange(5), sizes)
    whole, parts = ForceFieldErrors(["cold", "hot"]), ForceFieldErrors(["cold", "hot"])

    def update(metric, rows):
        atoms = np.isin(batch, rows)
        renumbered = np.searchsorted(rows, batch[atoms])
        metric.update(
            *(torch.from_numpy(v) for v in (energy[rows], forces[atoms], sizes[rows], renumbered, groups[rows]))
        )

    update(whole, np.arange(5))
    update(parts, np.arange(2))
    update(parts, np.arange(2, 5))
    errors = whole.compute()
    assert errors.keys() == parts.compute().keys()
    for name, value in parts.compute().items():
        assert float(value) == pytest.approx(float(errors[name]), rel=1e-12)
    assert float(errors["energy_rmse"]) == pytest.approx(1e3 * np.sqrt(np.mean(energy**2)))
    assert float(errors["energy_per_atom_mae_hot"]) == pytest.approx(1e3 * np.mean(np.abs(energy / sizes)[groups == 1]))
    assert float(errors["forces_rmse"]) == pytest.approx(1e3 * np.sqrt(np.nanmean(forces**2)))
    assert float(errors["forces_mae_cold"]) == pytest.approx(1e3 * np.mean(np.abs(forces[batch == 3])))


def test_groups_without_forces_have_errors_of_energies_alone():
    metric = ForceFieldErrors(["cold", "scan"])
    forces = torch.full((2, 3), float("nan"))
    metric.update(torch.ones(1), forces, torch.tensor([2]), torch.zeros(2, dtype=torch.int64), torch.tensor([1]))
    assert set(metric.compute()) == {
        f"energy{per_atom}_{kind}{suffix}"
        for per_atom in ("", "_per_atom")
        for kind in ("rmse", "mae")
        for suffix in ("", "_scan")
    }


def test_predictions_are_of_structures():
    datamodule = data()
    trained = module(datamodule)
    batch = next(iter(datamodule.test_dataloader()))
    with torch.inference_mode():
        prediction = trained.predict_step(batch)
    table, arrays = trained.tabulate(prediction), trained.arrays(prediction)
    assert len({len(column) for column in (table | arrays).values()}) == 1
    assert [len(forces) for forces in arrays["forces"]] == table["num_atoms"].tolist()
    assert float(table["max_force"][0]) == pytest.approx(np.linalg.norm(arrays["forces"][0], axis=1).max())
    assert float(table["energy"][0]) == pytest.approx(arrays["energies"][0].sum())


def test_figures_show_the_last_test():
    datamodule = data()
    trained = module(datamodule)
    assert trained.figures() == {}
    trained.on_test_epoch_start()
    for batch in datamodule.test_dataloader():
        trained.test_step(batch)
    (figure,) = trained.figures().values()
    assert [axis.get_title() for axis in figure.axes] == ["interaction energy [eV/atom]", "forces [eV/Angstrom]"]
    trained.on_fit_start()
    assert trained.figures() == {}


@pytest.mark.skipif(SHARED is None, reason="the published files do not lie beside the checkout")
def test_learns_forces_of_a_real_molecule():
    """60 steps on 30 configurations of 3BPA more than halve the error of predicting no forces."""
    datamodule = ThreeBPA(str(SHARED / "data" / "gaunt" / "3BPA"))
    datamodule.setup()
    torch.manual_seed(0)
    trained = GauntModule([1, 6, 7, 8], network_kwargs={"channels": 8, "lmax_edge": 2, "lmax_hidden": 1})
    trained.trainer = SimpleNamespace(datamodule=datamodule)
    trained.setup("fit")
    trained.log = lambda *args, **kwargs: None
    batches = [collate(datamodule.dataset("train")[start : start + 5]) for start in range(0, 30, 5)]
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for step in range(60):
        optimizer.zero_grad()
        trained.training_step(batches[step % len(batches)]).backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 100.0)
        optimizer.step()
    held_out = collate(datamodule.dataset("val")[:20])
    forces = trained(held_out)["forces"].detach()
    assert (forces - held_out[keys.FORCES]).square().mean() < 0.25 * held_out[keys.FORCES].square().mean()


def test_data_that_do_not_fit_are_refused():
    trained = module()
    trained.trainer = SimpleNamespace(datamodule=SimpleNamespace(r_max=3.0))
    with pytest.raises(ValueError, match=r"r_max=4\.0 but the data has edges up to 3\.0"):
        trained.setup("fit")
    trained = module(group_names=["cold", "hot"])
    trained.trainer = SimpleNamespace(datamodule=SimpleNamespace(group_names=["hot"]))
    with pytest.raises(ValueError, match=r"group_names=\['cold', 'hot'\] but the test set has the parts \['hot'\]"):
        trained.setup("test")
    statistics = EnergyStatistics({1: 0.0, 92: 0.0}, 1.0, 0.0, 1.0)
    trained.trainer.datamodule = SimpleNamespace(group_names=["cold"], energy_statistics=lambda: statistics)
    with pytest.raises(ValueError, match=r"elements=\[1, 6, 7, 8\] but the data has \[92\] too"):
        trained.setup("fit")


@pytest.mark.parametrize(
    "change",
    [
        {"elements": [0]},
        {"network_kwargs": {"elements": [1]}},
        {"energy_weight": -1.0},
        {"forces_weight": -1.0},
        {"group_names": ["a", "a"]},
    ],
)
def test_bad_arguments_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        GauntModule(**{"elements": [1], **change})
