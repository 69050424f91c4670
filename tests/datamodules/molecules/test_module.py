import lzma

import numpy as np
import pytest
import torch

from datamodules import keys
from datamodules.molecules import AcAc, ExtXYZ, MorseMolecules, ThreeBPA
from datamodules.molecules.module import published_split
from datamodules.molecules.potential import ATOMIC_ENERGIES, label
from datamodules.molecules.statistics import isolated_energies, regressed_energies
from datamodules.molecules.structure import Structure, collate
from tests.datamodules.molecules.toys import three_bpa
from tests.paths import SHARED

needs_data = pytest.mark.skipif(SHARED is None, reason="the published files do not lie beside the checkout")
WATER = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy}
O 0.0 0.0 {z} 0.1 0.0 0.2
H 0.0 0.763 -0.477 0.0 0.1 0.0
H 0.0 -0.763 -0.477 -0.1 -0.1 -0.2
"""
ATOMS = (
    "1\nProperties=species:S:1:pos:R:3 energy=-13.6\nH 0 0 0\n1\nProperties=species:S:1:pos:R:3 energy=-40\nO 0 0 0\n"
)


def ready(datamodule):
    datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule


def water_file(tmp_path, number, name="train.xyz", extra=""):
    text = "".join(WATER.format(energy=-76 - 0.1 * frame, z=0.1 + 0.01 * frame) for frame in range(number))
    (tmp_path / name).write_text(text + extra)
    return str(tmp_path / name)


# ---- batches


def test_batch_joins_structures():
    datamodule = ready(MorseMolecules(num_train=6, num_val=2, num_test=2))
    samples = datamodule.dataset("train")[:4]
    batch = collate(samples)
    sizes = [len(sample[keys.POS]) for sample in samples]
    assert batch[keys.PTR].diff().tolist() == sizes
    assert batch[keys.BATCH].bincount().tolist() == sizes
    assert batch[keys.ENERGY].dtype == torch.float64
    lengths = []
    for one in (batch, *samples):
        source, target = one[keys.EDGE_INDEX]
        assert (one[keys.BATCH][source] == one[keys.BATCH][target]).all()
        lengths.append((one[keys.POS][target] - one[keys.POS][source] + one[keys.SHIFTS]).norm(dim=1))
    assert torch.equal(lengths[0], torch.cat(lengths[1:]))
    assert lengths[0].max() < 4.0
    again = collate([collate(samples[:2]), collate(samples[2:])])
    assert again.keys() == batch.keys()
    known = [key for key in batch if not batch[key].isnan().any()]
    assert all(torch.equal(again[key], batch[key]) for key in known)


def test_loaders_go_through_all_structures():
    datamodule = ready(MorseMolecules(num_train=12, num_val=5, num_test=7, batch_size=5))
    assert len(datamodule.train_dataloader()) == 2
    assert sum(len(batch[keys.ENERGY]) for batch in datamodule.test_dataloader()) == 7
    first, second = (ready(MorseMolecules(num_train=3, num_val=1, num_test=1, seed=seed)) for seed in (0, 0))
    assert torch.equal(first.dataset("train")[2][keys.POS], second.dataset("train")[2][keys.POS])
    other = ready(MorseMolecules(num_train=3, num_val=1, num_test=1, seed=1))
    assert not torch.equal(first.dataset("train")[2][keys.POS], other.dataset("train")[2][keys.POS])


# ---- the exact potential


def test_labels_are_derivatives_of_the_energy():
    structure = Structure(
        np.array([6, 8, 1]),
        np.array([[0.0, 0, 0], [1.3, 0.1, 0], [0.2, 1.1, 0.3]]),
        np.array([[4.0, 0.1, 0], [0, 3.8, 0.2], [0.3, 0, 4.2]]),
        (True, True, True),
    )
    label(structure, 4.0)
    step = 1e-5

    def energy(pos, cell):
        moved = Structure(structure.numbers, pos, cell, structure.pbc)
        label(moved, 4.0)
        return moved.energy

    for atom in range(3):
        for axis in range(3):
            shift = np.zeros((3, 3))
            shift[atom, axis] = step
            slope = energy(structure.pos + shift, structure.cell) - energy(structure.pos - shift, structure.cell)
            assert structure.forces[atom, axis] == pytest.approx(-slope / (2 * step), abs=1e-6)
    strain = np.eye(3) + step * np.diag([1.0, 0, 0])
    back = np.eye(3) - step * np.diag([1.0, 0, 0])
    slope = energy(structure.pos @ strain, structure.cell @ strain) - energy(
        structure.pos @ back, structure.cell @ back
    )
    volume = abs(np.linalg.det(structure.cell))
    assert structure.stress[0, 0] == pytest.approx(slope / (2 * step * volume), abs=1e-6)


def test_atoms_that_are_far_apart_have_the_energy_of_isolated_ones():
    structure = Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [4.1, 0, 0]]))
    label(structure, 4.0)
    assert structure.energy == ATOMIC_ENERGIES[6] + ATOMIC_ENERGIES[8]
    assert not structure.forces.any()


# ---- statistics


def test_statistics_of_a_training_set():
    datamodule = ready(MorseMolecules(num_train=12, num_val=1, num_test=1))
    statistics = datamodule.energy_statistics()
    samples = datamodule.dataset("train")
    forces = torch.cat([sample[keys.FORCES] for sample in samples])
    assert statistics.scale == pytest.approx(float(forces.square().mean().sqrt()))
    isolated = torch.zeros(119, dtype=torch.float64)
    for number, energy in ATOMIC_ENERGIES.items():
        isolated[number] = energy
    per_atom = [
        float(sample[keys.ENERGY] - isolated[sample[keys.NUMBERS]].sum()) / len(sample[keys.NUMBERS])
        for sample in samples
    ]
    assert statistics.shift == pytest.approx(np.mean(per_atom))
    edges = sum(sample[keys.EDGE_INDEX].size(1) for sample in samples)
    assert statistics.avg_num_neighbors == pytest.approx(edges / len(forces))
    with pytest.raises(RuntimeError, match="has no data yet"):
        MorseMolecules().energy_statistics()


def test_regression_finds_the_energies_of_atoms():
    structures = [
        Structure(
            np.array(numbers), np.zeros((len(numbers), 3)), energy=-1.5 * numbers.count(1) - 20.25 * numbers.count(8)
        )
        for numbers in ([1, 1, 8], [1, 8], [1, 1], [8, 8, 8])
    ]
    assert regressed_energies(structures) == pytest.approx({1: -1.5, 8: -20.25})
    with pytest.raises(ValueError, match="frame 0 of the isolated atoms has 3 atoms"):
        isolated_energies(structures)


def test_split_is_the_published_one():
    order = np.arange(500)
    np.random.default_rng(1).shuffle(order)
    splits = published_split(list(range(500)), 50)
    assert splits["val"] == order[-50:].tolist()
    assert splits["train"] == order[:-50].tolist()


# ---- a user's own files


def test_own_files(tmp_path):
    train = water_file(tmp_path, 10, extra=ATOMS)
    datamodule = ready(ExtXYZ(train, atomic_energies="isolated", val_fraction=0.2, r_max=3.0))
    assert {split: len(datamodule.dataset(split)) for split in ("train", "val", "test")} == {
        "train": 8,
        "val": 2,
        "test": 2,
    }
    assert datamodule.energy_statistics().atomic_energies == {1: -13.6, 8: -40.0}
    given = ready(ExtXYZ(water_file(tmp_path, 10, "given.xyz"), atomic_energies="H=-1.0 O=-2 C=-3.5"))
    assert given.energy_statistics().atomic_energies == {1: -1.0, 8: -2.0}
    test = water_file(tmp_path, 3, "test.xyz")
    datamodule = ready(ExtXYZ(water_file(tmp_path, 10, "more.xyz"), test, test))
    assert [len(datamodule.dataset(split)) for split in ("train", "val", "test")] == [10, 3, 3]
    assert sorted(datamodule.metadata()["files"]) == ["more.xyz", "test.xyz"]


def test_own_inputs_have_no_labels(tmp_path):
    datamodule = ExtXYZ("unused.xyz", predict_path=water_file(tmp_path, 3), r_max=3.0)
    datamodule.setup("predict")
    (batch,) = datamodule.predict_dataloader()
    assert datamodule.predict_ids == ["0", "1", "2"]
    assert keys.ENERGY not in batch
    assert keys.FORCES not in batch


def test_missing_energies_of_atoms_are_named(tmp_path):
    atoms = ATOMS.split("1\nProp")[1]
    train = water_file(tmp_path, 10, extra="1\nProp" + atoms)
    with pytest.raises(ValueError, match="there is no E0 of O; give one, or 'average'"):
        ready(ExtXYZ(train, atomic_energies="isolated"))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (ThreeBPA, {"root": None}),
        (AcAc, {"root": "nowhere"}),
        (MorseMolecules, {"r_max": 0.0}),
        (MorseMolecules, {"num_val": 0}),
        (MorseMolecules, {"displacement": -1.0}),
        (ExtXYZ, {"train_path": "a.xyz", "val_fraction": 1.0}),
        (ExtXYZ, {"train_path": "a.xyz", "atomic_energies": "zero"}),
        (ExtXYZ, {"train_path": "a.xyz", "atomic_energies": "Hx=-1.0"}),
        (ExtXYZ, {"train_path": "a.xyz", "atomic_energies": "H=nan"}),
    ],
)
def test_bad_arguments_are_named(kind, change):
    *_, name = change
    with pytest.raises(ValueError, match=name):
        ready(kind(**change))


@pytest.mark.parametrize("kind", [ThreeBPA, AcAc])
def test_missing_files_are_named(kind, tmp_path):
    with pytest.raises(ValueError, match=r"it lacks train_300K\.xyz"):
        ready(kind(str(tmp_path)))
    three_bpa(tmp_path)
    (tmp_path / "3BPA" / "test_600K.xyz").unlink()
    with pytest.raises(ValueError, match=r"it lacks test_(300K\.xyz, .*, or train_mixedT\.xyz|MD_300K\.xyz)"):
        ready(kind(str(tmp_path / "3BPA")))


# ---- published files


@needs_data
def test_3bpa_without_the_official_tests_is_3bpa_mini():
    datamodule = ready(ThreeBPA(str(SHARED / "data" / "gaunt" / "3BPA")))
    assert datamodule.metadata()["name"] == "3BPA-mini"
    assert [len(datamodule.dataset(split)) for split in ("train", "val")] == [450, 50]
    groups = torch.cat([sample[keys.GROUP] for sample in datamodule.dataset("test")])
    assert dict(zip(datamodule.group_names, groups.bincount().tolist(), strict=True)) == {
        "300K": 136,
        "600K": 167,
        "1200K": 166,
    }
    forces = [
        torch.cat([sample[keys.FORCES] for sample in datamodule.dataset("test") if sample[keys.GROUP] == group])
        for group in range(3)
    ]
    assert [float(part.square().mean().sqrt()) for part in forces] == pytest.approx([0.958, 1.321, 1.846], rel=0.02)
    assert datamodule.energy_statistics().atomic_energies[7] == -1484.9814568572233


@needs_data
def test_3bpa_with_the_official_tests(tmp_path):
    source = SHARED / "data" / "gaunt" / "3BPA"
    for name in ("train_300K.xyz.xz", "iso_atoms.xyz.xz"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    text = lzma.decompress((source / "train_mixedT.xyz.xz").read_bytes()).decode().splitlines(keepends=True)
    for number, name in enumerate(("test_300K", "test_600K", "test_1200K", "test_dih")):
        (tmp_path / f"{name}.xyz").write_text("".join(text[29 * number : 29 * (number + 2)]))
    datamodule = ready(ThreeBPA(str(tmp_path)))
    assert datamodule.metadata()["name"] == "3BPA"
    assert datamodule.group_names == ["300K", "600K", "1200K", "dihedral"]
    assert len(datamodule.dataset("test")) == 8


@needs_data
def test_acac_has_tests_without_forces():
    datamodule = ready(AcAc(str(SHARED / "data" / "gaunt" / "acac")))
    assert len(datamodule.dataset("test")) == 650 + 650 + 45 + 15
    last = datamodule.dataset("test")[-1]
    assert datamodule.group_names[int(last[keys.GROUP])] == "H-transfer"
    assert last[keys.FORCES].isnan().all()
    assert last[keys.ENERGY].isfinite().all()
