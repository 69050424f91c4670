import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.io import read
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

import checkpoints
from tests.paths import REPOSITORY
from tests.zoo.gaunt.structures import batch_of, network, structure
from zoo.gaunt.calculator import GauntCalculator


def molecule():
    entry = structure()
    return Atoms(entry["numbers"].numpy(), entry["pos"].numpy())


def crystal():
    entry = structure(3, spread=2.5)
    cell = [[3.1, 0.2, 0.0], [0.4, 2.9, 0.1], [-0.3, 0.5, 3.3]]
    return Atoms(entry["numbers"].numpy(), entry["pos"].numpy(), cell=cell, pbc=True)


def weak(**arguments):
    """A force field with forces of the size of real ones."""
    return network(**{"scale": 0.05, **arguments})


def test_is_the_network():
    model, atoms = weak(), molecule()
    atoms.calc = GauntCalculator(model)
    with torch.no_grad():
        result = model(batch_of(structure()))
    assert atoms.get_potential_energy() == result["energy"].item()
    assert atoms.get_potential_energy(force_consistent=True) == result["energy"].item()
    np.testing.assert_array_equal(atoms.get_forces(), result["forces"].numpy())
    assert atoms.get_potential_energies().sum() == pytest.approx(result["energy"].item())


def test_forces_and_stress_agree_with_ases_own_derivatives():
    from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

    atoms = crystal()
    atoms.calc = GauntCalculator(weak())
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, 1e-5), atol=1e-6)
    stress = calculate_numerical_stress(atoms, 1e-6)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-6)


def test_molecules_have_no_stress():
    atoms = molecule()
    atoms.calc = GauntCalculator(weak())
    with pytest.raises(NotImplementedError):
        atoms.get_stress()


def test_dynamics_keeps_the_energy():
    atoms = molecule()
    atoms.calc = GauntCalculator(weak())
    BFGS(atoms, logfile=None).run(fmax=0.5, steps=10)
    energies = []
    dynamics = VelocityVerlet(atoms, timestep=0.1 * units.fs)
    for _ in range(15):
        dynamics.run(2)
        energies.append(atoms.get_total_energy())
    kinetic = atoms.get_kinetic_energy()
    assert kinetic > 1e-4
    assert np.ptp(energies) < 0.02 * kinetic


def test_a_trained_force_field_keeps_the_energy_at_room_temperature():
    """Methanol at about 300 K, 0.5 fs a step: the drift is below 1 meV per atom and picosecond."""
    atoms = read(REPOSITORY / "tests" / "data" / "methanol.xyz")
    atoms.calc = GauntCalculator(checkpoints.load("gaunt-morse").network, dtype="float64")
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.01
    speeds = np.random.default_rng(0).normal(size=(6, 3))
    momenta = speeds * np.sqrt(atoms.get_masses() * units.kB * 600)[:, None]  # half of it goes to bonds
    atoms.set_momenta(momenta - momenta.mean(0))
    energies, dynamics = [], VelocityVerlet(atoms, timestep=0.5 * units.fs)
    for _ in range(200):
        dynamics.run(2)
        energies.append(atoms.get_total_energy())
    picoseconds = np.arange(200) * 1e-3
    drift = np.polyfit(picoseconds, energies, 1)[0] / len(atoms)
    assert abs(drift) < 1e-3
    assert np.std(energies) / len(atoms) < 1e-3
    assert atoms.get_temperature() > 50


def test_precision_can_be_chosen():
    model = weak(dtype=torch.float32)
    double = GauntCalculator(model, dtype="float64")
    assert double.network.embedding.dtype == torch.float64
    with pytest.raises(ValueError, match="dtype='half'"):
        GauntCalculator(model, dtype="half")


def test_unknown_elements_are_named():
    atoms = Atoms("He", [[0.0, 0, 0]])
    atoms.calc = GauntCalculator(weak())
    with pytest.raises(ValueError, match=r"numbers holds \[2\]"):
        atoms.get_potential_energy()
