import copy

import pytest
import torch

from tests.zoo.gaunt.features import error, rotation
from tests.zoo.gaunt.structures import ELEMENTS, R_MAX, batch_of, network, structure
from zoo.gaunt.interaction import CONVOLUTIONS
from zoo.gaunt.network import GauntForceField
from zoo.gaunt.radial import SILU_SECOND_MOMENT, RadialBasis, polynomial_cutoff

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
CELL = torch.tensor([[3.1, 0.2, 0.0], [0.4, 2.9, 0.1], [-0.3, 0.5, 3.3]], dtype=torch.float64)


def evaluate(model, *structures, **options):
    with torch.no_grad():
        return model(batch_of(*structures), **options)


def moved(entry, matrix=None, shift=None):
    pos = entry["pos"] if matrix is None else entry["pos"] @ matrix.T
    return {**entry, "pos": pos if shift is None else pos + shift}


def close(actual, expected, dtype=torch.float64):
    assert actual.shape == expected.shape
    bound = TOLERANCES[dtype] * float(expected.abs().max().clamp(min=1))
    return float((actual - expected).abs().max()) < bound


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_symmetries_of_space(conv, dtype):
    model, molecule, matrix = network(conv, dtype), structure(), rotation(1)
    result = evaluate(model, molecule)
    assert result["forces"].abs().max() > 1e-3
    shift = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for change in ({"matrix": matrix}, {"matrix": -torch.eye(3).double()}, {"shift": shift}):
        other = evaluate(model, moved(molecule, **change))
        turn = change.get("matrix", torch.eye(3).double()).to(dtype)
        assert close(other["interaction_energy"], result["interaction_energy"], dtype)
        assert close(other["forces"], result["forces"] @ turn.T, dtype)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    permuted = evaluate(model, {key: value if value is None else value[order] for key, value in molecule.items()})
    assert close(permuted["interaction_energy"], result["interaction_energy"], dtype)
    assert close(permuted["forces"], result["forces"][order], dtype)


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_forces_are_derivatives_and_balance(conv):
    model, molecule = network(conv), structure()
    forces = evaluate(model, molecule)["forces"]
    step = 3e-5
    numerical = torch.zeros_like(forces)
    for atom in range(len(forces)):
        for axis in range(3):
            shift = torch.zeros_like(forces)
            shift[atom, axis] = step
            up, down = (evaluate(model, moved(molecule, shift=sign * shift))["interaction_energy"] for sign in (1, -1))
            numerical[atom, axis] = -(up - down).item() / (2 * step)
    assert error(forces, numerical) < 1e-6
    assert forces.sum(0).abs().max() < 1e-12
    assert torch.linalg.cross(molecule["pos"], forces).sum(0).abs().max() < 1e-11


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_stress_is_the_derivative_by_strain(conv):
    model, crystal = network(conv), structure(4, cell=CELL, spread=2.5)
    stress = evaluate(model, crystal, compute_stress=True)["stress"][0]
    step, numerical = 1e-5, torch.zeros(3, 3, dtype=torch.float64)
    for row in range(3):
        for column in range(3):
            energies = []
            for sign in (1, -1):
                deformation = torch.eye(3, dtype=torch.float64)
                deformation[row, column] += sign * step / 2
                deformation[column, row] += sign * step / 2
                strained = {**crystal, "pos": crystal["pos"] @ deformation, "cell": CELL @ deformation}
                energies.append(evaluate(model, strained)["interaction_energy"].item())
            numerical[row, column] = (energies[0] - energies[1]) / (2 * step) / torch.linalg.det(CELL)
    assert error(stress, numerical) < 1e-6
    assert torch.equal(stress, stress.T)


def test_smooth_at_the_cutoff():
    model = network()
    pair = {"numbers": torch.tensor([6, 8]), "cell": None}
    results = [
        evaluate(model, {**pair, "pos": torch.tensor([[0.0, 0, 0], [R_MAX + offset, 0, 0]], dtype=torch.float64)})
        for offset in (-1e-5, 1e-5)
    ]
    assert close(results[0]["energy"], results[1]["energy"])
    assert results[0]["forces"].abs().max() < 1e-8
    assert not results[1]["forces"].any()


def test_energies_of_distant_molecules_add_up():
    model, molecule, other = network(), structure(), structure(4, seed=1)
    far = moved(other, shift=torch.tensor([50.0, 0, 0]))
    both = {"numbers": torch.cat([molecule["numbers"], other["numbers"]]), "cell": None}
    both["pos"] = torch.cat([molecule["pos"], far["pos"]])
    together, alone = evaluate(model, both), [evaluate(model, entry) for entry in (molecule, other)]
    assert close(together["interaction_energy"], alone[0]["interaction_energy"] + alone[1]["interaction_energy"])
    assert close(together["forces"], torch.cat([result["forces"] for result in alone]))


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_batch_equals_one_by_one(conv):
    model, structures = network(conv), [structure(number, seed=number) for number in (5, 3, 7, 1)]
    together, alone = evaluate(model, *structures), [evaluate(model, entry) for entry in structures]
    for name in ("energy", "interaction_energy", "node_energy", "forces"):
        assert close(together[name], torch.cat([result[name] for result in alone]))


def test_longer_edges_have_no_effect():
    model, molecule = network(), structure(6, spread=4.0)
    with torch.no_grad():
        wide = model(batch_of(molecule, r_max=2 * R_MAX))
    assert close(wide["forces"], evaluate(model, molecule)["forces"])


def test_periodic_images_are_seen():
    """A crystal and its doubled cell have the same energy per atom and the same forces."""
    model, crystal = network(), structure(3, cell=CELL, spread=2.5)
    doubled = {
        "numbers": crystal["numbers"].repeat(2),
        "pos": torch.cat([crystal["pos"], crystal["pos"] + CELL[0]]),
        "cell": CELL * torch.tensor([[2.0], [1], [1]], dtype=torch.float64),
    }
    one, two = (evaluate(model, entry, compute_stress=True) for entry in (crystal, doubled))
    assert close(two["interaction_energy"], 2 * one["interaction_energy"])
    assert close(two["forces"], one["forces"].repeat(2, 1))
    assert close(two["stress"], one["stress"])


def test_isolated_atoms_have_their_energy():
    model = network()
    with torch.no_grad():
        alone = model(batch_of(structure(1)))
    expected = model.atomic_energies[model.lookup[structure(1)["numbers"]]]
    # The interaction of an atom with nothing is what is left: the readout of its own features.
    torch.testing.assert_close(alone["energy"] - alone["interaction_energy"], expected)
    assert not alone["forces"].any()


def test_starts_with_the_energies_of_isolated_atoms():
    torch.manual_seed(0)
    model = GauntForceField(ELEMENTS, R_MAX, channels=4, atomic_energies=[-13.5, -1029.25, -2041.125])
    result = evaluate(model, structure())
    assert torch.equal(result["energy"], model.atomic_energies[model.lookup[structure()["numbers"]]].sum()[None])


def test_atomic_energies_stay_in_double_precision():
    energy = -1029.4889999855063
    model = GauntForceField([6], atomic_energies=[energy], channels=2).float().half().double().float()
    assert model.atomic_energies.item() == energy
    twin = GauntForceField([6], channels=2)
    twin.load_state_dict(copy.deepcopy(model.state_dict()))
    assert twin.atomic_energies.item() == energy
    assert evaluate(twin, {"numbers": torch.tensor([6]), "pos": torch.zeros(1, 3), "cell": None})["energy"].dtype == (
        torch.float64
    )


@pytest.mark.parametrize("conv", CONVOLUTIONS)
def test_every_parameter_learns_from_forces(conv):
    model = network(conv, num_layers=3)
    result = model(batch_of(structure(), structure(4, seed=2)))
    (result["forces"].square().sum() + result["energy"].sum()).backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_works_where_gradients_are_forbidden():
    model = network()
    with torch.no_grad():
        expected = model(batch_of(structure()))["forces"]
    with torch.inference_mode():
        forces = model(batch_of(structure()))["forces"]
        copied = copy.deepcopy(model)(batch_of(structure()))["forces"]
    assert torch.equal(forces, expected)
    assert torch.equal(copied, expected)
    assert not forces.requires_grad


def test_chirality_is_seen_by_brackets_alone_as_far_as_energies_allow():
    """Mirror images have the same energy, whatever the convolution."""
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    model, molecule = network("gaunt+bracket"), structure()
    assert close(evaluate(model, moved(molecule, mirror))["energy"], evaluate(model, molecule)["energy"])


@pytest.mark.parametrize(
    "change",
    [
        {"elements": []},
        {"elements": [1, 1]},
        {"elements": [0]},
        {"r_max": 0.0},
        {"num_bessel": 0},
        {"cutoff_power": 0},
        {"channels": 0},
        {"lmax_edge": 0},
        {"lmax_hidden": -1},
        {"correlation": 0},
        {"num_layers": 0},
        {"readout_width": 0},
        {"conv": "e3nn"},
        {"conv_rank": 0},
        {"atomic_energies": [1.0]},
        {"scale": 0.0},
        {"shift": float("nan")},
        {"avg_num_neighbors": -1.0},
    ],
)
def test_bad_arguments_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        GauntForceField(**{"elements": ELEMENTS, **change})


def test_bad_batches_are_named():
    model, molecule = network(), structure()
    with pytest.raises(ValueError, match=r"numbers holds \[7\]; the network knows the atomic numbers \[1, 6, 8\]"):
        evaluate(model, {**molecule, "numbers": torch.full((6,), 7)})
    with pytest.raises(ValueError, match="compute_stress=True needs structures with three cell vectors"):
        evaluate(model, molecule, compute_stress=True)


# ---- functions of the length


def test_envelope_and_its_derivatives_vanish_at_the_cutoff():
    lengths = torch.tensor([0.5, 3.0 - 1e-12, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    value = polynomial_cutoff(lengths, 3.0, 5)
    (slope,) = torch.autograd.grad(value.sum(), lengths, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), lengths)
    for derivative in (value, slope, curvature):
        assert derivative[1:].abs().max() < 1e-9
    x = 0.5 / 3
    assert value[0].item() == pytest.approx(1 - 21 * x**5 + 35 * x**6 - 15 * x**7, abs=1e-14)


def test_bessel_functions_are_orthonormal():
    basis = RadialBasis(4.0, 6, 5).double()
    nodes, weights = torch.linspace(0, 4, 20001, dtype=torch.float64)[1:-1], 4 / 20000
    values = basis(nodes) / polynomial_cutoff(nodes, 4.0, 5)[:, None]
    gram = (values * nodes[:, None] ** 2).T @ values * weights
    torch.testing.assert_close(gram, torch.eye(6).double(), rtol=0, atol=1e-6)


def test_activations_are_normalised():
    x = torch.linspace(-12, 12, 200001, dtype=torch.float64)
    density = torch.exp(-x.square() / 2) / (2 * torch.pi) ** 0.5
    moment = (torch.nn.functional.silu(x).square() * density).sum() * (x[1] - x[0])
    assert moment.item() == pytest.approx(SILU_SECOND_MOMENT, rel=1e-4)
