import hashlib

import numpy as np
import pytest

from datamodules.graphs.zinc import PACKAGED, ZINC
from scripts.pack_zinc import pack
from tests.paths import SHARED

SOURCE = {
    "num_atoms": np.array([2, 3, 1, 2], dtype=np.uint8),
    "num_bonds": np.array([1, 2, 0, 1], dtype=np.uint8),
    "atom_type": np.array([0, 1, 2, 3, 4, 5, 6, 7], dtype=np.uint8),
    "bond_u": np.array([0, 0, 1, 0], dtype=np.uint8),
    "bond_v": np.array([1, 1, 2, 1], dtype=np.uint8),
    "bond_type": np.array([1, 2, 3, 1], dtype=np.uint8),
    "y": np.array([0.5, 1.5, 2.5, 3.5]),
    "surrogate_train_index": np.array([3]),
    "official_val_index": np.array([0]),
    "official_test_index": np.array([2]),
}


def test_the_molecules_of_the_splits_are_kept(tmp_path):
    np.savez(tmp_path / "source.npz", **SOURCE)
    pack(tmp_path / "source.npz", tmp_path / "packed.npz")
    datamodule = ZINC()
    packed, source = (datamodule.read_table(tmp_path / f"{name}.npz") for name in ("packed", "source"))
    assert len(packed.y) == 3
    for split in ("train", "val", "test"):
        (graph,), (right,) = packed.split(split), source.split(split)
        assert graph.to_dict().keys() == right.to_dict().keys()
        assert all((graph[key] == right[key]).all() for key in graph.keys())  # noqa: SIM118 - it iterates over pairs


def test_same_source_same_bytes(tmp_path):
    np.savez(tmp_path / "source.npz", **SOURCE)
    for name in ("a.npz", "b.npz"):
        pack(tmp_path / "source.npz", tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.skipif(SHARED is None, reason="the source of the packaged file is not at hand")
def test_the_packaged_file_is_reproduced(tmp_path):
    pack(SHARED / "data" / "spe" / "zinc_graphs.npz", tmp_path / "packed.npz")
    with np.load(tmp_path / "packed.npz") as ours, np.load(PACKAGED) as packaged:
        assert ours.files == packaged.files
        for name in ours.files:
            digests = [hashlib.sha256(file[name].tobytes()).hexdigest() for file in (ours, packaged)]
            assert digests[0] == digests[1], name
