import io
import lzma

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from datamodules.molecules.extxyz import read_extxyz
from datamodules.molecules.inputs import read_structures
from datamodules.molecules.structure import NUMBERS, SYMBOLS

WATER = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy=-76.4 note="two words" config_type=test
O 0.0 0.0 0.119 0.1 0.0 0.2
H 0.0 0.763 -0.477 0.0 0.1 0.0
H 0.0 -0.763 -0.477 -0.1 -0.1 -0.2
"""


def write(tmp_path, text, name="atoms.xyz"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_reads_what_is_written(tmp_path):
    first, second = read_extxyz(write(tmp_path, WATER + WATER))
    assert first.numbers.tolist() == [8, 1, 1]
    assert first.energy == -76.4
    np.testing.assert_array_equal(first.forces[0], [0.1, 0.0, 0.2])
    assert first.pbc == (False, False, False)
    assert first.info == {"note": "two words", "config_type": "test"}
    np.testing.assert_array_equal(first.pos, second.pos)


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_reads_what_ase_writes(tmp_path, pbc):
    random = np.random.default_rng(0)
    frames = []
    for _ in range(3):
        atoms = Atoms("CH2ON", random.normal(size=(5, 3)) * 3, cell=random.normal(size=(3, 3)) * 9, pbc=pbc)
        stress = random.normal(size=(3, 3))
        labels = {"energy": random.normal(), "forces": random.normal(size=(5, 3)), "stress": stress + stress.T}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append((atoms, labels))
    ase.io.write(tmp_path / "atoms.xyz", [atoms for atoms, _ in frames], format="extxyz")
    for structure, (atoms, labels) in zip(read_extxyz(tmp_path / "atoms.xyz"), frames, strict=True):
        assert structure.numbers.tolist() == atoms.numbers.tolist()
        assert list(structure.pbc) == atoms.pbc.tolist()
        np.testing.assert_allclose(structure.pos, atoms.positions, atol=1e-7)
        np.testing.assert_allclose(structure.cell, atoms.cell.array, atol=1e-7)
        assert structure.energy == pytest.approx(labels["energy"])
        np.testing.assert_allclose(structure.forces, labels["forces"], atol=1e-7)
        np.testing.assert_allclose(structure.stress, labels["stress"], atol=1e-6)


def test_keys_can_be_chosen_and_files_packed(tmp_path):
    text = WATER.replace("energy=", "DFT_energy=").replace("forces:R", "DFT_forces:R")
    path = tmp_path / "atoms.xyz.xz"
    with lzma.open(path, "wt") as file:
        file.write(text)
    (structure,) = read_extxyz(path, energy_key="DFT_energy", forces_key="DFT_forces")
    assert structure.energy == -76.4
    assert structure.forces.shape == (3, 3)
    assert read_extxyz(path)[0].energy is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("energy=-76.4", "energy=nan"), "energy=nan is not finite"),
        (("energy=-76.4", "energy=low"), "energy='low' is not allowed"),
        (("0.1 0.0 0.2", "0.1 inf 0.2"), "forces hold a number that is not finite"),
        (("0.1 0.0 0.2", "0.1 0.0"), "atom 0 has 6 columns instead of 7"),
        (("H 0.0 0.763", "Hx 0.0 0.763"), "'Hx' is no element"),
        (("0.0 -0.763 -0.477", "0.0 0.763 -0.478"), "atoms 1 and 2 overlap"),
        (("0.119", "0,119"), "pos of an atom is no number"),
        ((":forces:R:3", ":forces:R"), "Properties='species:S:1:pos:R:3:forces:R' is not allowed"),
        ((" energy=-76.4", ""), "it has no energy"),
        (("forces:R:3", "velocities:R:3"), "it has no forces"),
        (("note=", 'pbc="T T T" note='), "it is periodic, but its cell has no volume"),
        (("note=", 'Lattice="1 0 0" note='), "Lattice holds 3 numbers; give 9"),
        (("3\nProp", "three\nProp"), "it starts with 'three'"),
        (("3\nProp", "30\nProp"), "the file ends before its 30 atoms do"),
        (("species:S:1", "label:S:1"), "its Properties lack 'species'"),
    ],
)
def test_bad_frames_are_named(tmp_path, change, message):
    path = write(tmp_path, WATER + WATER.replace(*change))
    with pytest.raises(ValueError, match=r"atoms\.xyz, frame 1: ") as error:
        read_extxyz(path, need_energy=True, need_forces=True)
    assert message in str(error.value)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"empty\.xyz holds no structure"):
        read_extxyz(write(tmp_path, "\n", "empty.xyz"))
    (tmp_path / "broken.xyz.xz").write_bytes(b"no xz")
    with pytest.raises(ValueError, match=r"broken\.xyz\.xz cannot be read"):
        read_extxyz(tmp_path / "broken.xyz.xz")
    with pytest.raises(FileNotFoundError):
        read_extxyz(tmp_path / "missing.xyz")


def test_inputs_of_other_formats_are_read_by_ase(tmp_path):
    atoms = Atoms("NaCl", [[0.0, 0, 0], [2.8, 0, 0]], cell=[5.6, 5.6, 5.6], pbc=True)
    text = io.StringIO()
    ase.io.write(text, atoms, format="vasp")
    (structure,) = read_structures(write(tmp_path, text.getvalue(), "POSCAR"))
    assert structure.numbers.tolist() == [11, 17]
    assert structure.pbc == (True, True, True)
    (structure,) = read_structures(write(tmp_path, WATER))
    assert structure.numbers.tolist() == [8, 1, 1]
    with pytest.raises(ValueError, match="cannot be read by ASE"):
        read_structures(write(tmp_path, "nonsense", "atoms.cif"))


def test_symbols_are_ases():
    from ase.data import chemical_symbols

    assert chemical_symbols == SYMBOLS
    assert NUMBERS["Og"] == 118
