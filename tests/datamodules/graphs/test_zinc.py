import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch_geometric import datasets

from datamodules.graphs.zinc import ATOM_TYPES, FILE_NAME, PACKAGED, ZINC
from datamodules.sources import cache_home
from tests.datamodules.graphs.toys import random_graphs
from tests.paths import SHARED

SPLITS = ("train", "val", "test")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def table():
    datamodule = ZINC()
    return datamodule.read_table(datamodule.source())


def write_official(folder, number=6):
    """Write files as the benchmark published them; returns the graphs that the index files select."""
    folder.mkdir(parents=True, exist_ok=True)
    selected = {}
    for seed, split in enumerate(SPLITS):
        graphs = random_graphs(number, seed)
        molecules = []
        for graph in graphs:
            bonds = torch.zeros(len(graph.x), len(graph.x), dtype=torch.long)
            bonds[graph.edge_index[0], graph.edge_index[1]] = graph.edge_attr
            molecules.append(
                {
                    "num_atom": len(graph.x),
                    "atom_type": graph.x,
                    "bond_type": bonds,
                    "logP_SA_cycle_normalized": graph.y[0].float(),
                }
            )
        (folder / f"{split}.pickle").write_bytes(pickle.dumps(molecules, protocol=3))
        (folder / f"{split}.index").write_text("4,0,2\n")
        selected[split] = [graphs[row] for row in (4, 0, 2)]
    return selected


def ready(**arguments):
    datamodule = ZINC(num_eigs=8, batch_size=2, **arguments)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def assert_same(graphs, expected):
    for graph, right in zip(graphs, expected, strict=True):
        assert torch.equal(graph.x, right.x)
        pairs, right_pairs = (
            sorted(zip(*g.edge_index.tolist(), g.edge_attr.tolist(), strict=True)) for g in (graph, right)
        )
        assert pairs == right_pairs
        assert torch.equal(graph.y, right.y.float().double())


@pytest.mark.parametrize("folder", ["", "raw", "molecules"])
def test_official_files_are_read(tmp_path, folder):
    expected = write_official(tmp_path / folder)
    datamodule = ready(root=str(tmp_path))
    for split in SPLITS:
        assert_same(datamodule.dataset(split), expected[split])
    assert datamodule.metadata()["split"] == "ZINC-12k, official split"
    assert datamodule.metadata()["source"] == "official files"


def test_all_molecules_without_the_index(tmp_path):
    write_official(tmp_path)
    for split in SPLITS:
        (tmp_path / f"{split}.index").unlink()
    assert len(ready(root=str(tmp_path), subset=False).dataset("train")) == 6


def test_official_files_go_before_the_surrogate(tmp_path):
    write_official(tmp_path)
    shutil.copy(PACKAGED, tmp_path / FILE_NAME)
    assert ready(root=str(tmp_path)).metadata()["source"] == "official files"


def test_changed_files_are_converted_anew(tmp_path):
    write_official(tmp_path)
    first = ready(root=str(tmp_path)).source()
    write_official(tmp_path, number=7)
    (tmp_path / "train.index").write_text("6,1\n")
    assert ready(root=str(tmp_path)).source() != first
    assert len(ready(root=str(tmp_path)).dataset("train")) == 2


def test_official_files_cannot_execute_anything(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'canary'}",)

    write_official(tmp_path)
    (tmp_path / "val.pickle").write_bytes(pickle.dumps([Payload()]))
    with pytest.raises(ValueError, match=r"val\.pickle cannot be read"):
        ready(root=str(tmp_path))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"atom_type": torch.tensor([28, 0])}, "types reach from 0 to 28; allowed: 0 to 27"),
        ({"atom_type": torch.tensor([0, 1, 2])}, "must be symmetric and fit 3"),
        ({"bond_type": torch.tensor([[0, 1], [2, 0]])}, "must be symmetric"),
        ({"bond_type": torch.tensor([[0, 9], [9, 0]])}, "types reach from 0 to 9; allowed: 0 to 3"),
        ({"logP_SA_cycle_normalized": torch.zeros(3)}, "one element|3 elements"),
    ],
)
def test_a_bad_molecule_is_named(tmp_path, entries, message):
    good = {"atom_type": torch.tensor([0, 1]), "bond_type": torch.tensor([[0, 1], [1, 0]]), "num_atom": 2}
    good["logP_SA_cycle_normalized"] = torch.zeros(1)
    write_official(tmp_path)
    (tmp_path / "train.pickle").write_bytes(pickle.dumps([{**good, **entries}]))
    (tmp_path / "train.index").write_text("0")
    with pytest.raises(ValueError, match=rf"molecule 0 of .*train\.pickle is not as it should be.*({message})"):
        ready(root=str(tmp_path))


def test_a_bad_index_is_named(tmp_path):
    write_official(tmp_path)
    (tmp_path / "train.index").write_text("0,one")
    with pytest.raises(ValueError, match=r"train\.index must hold row numbers"):
        ready(root=str(tmp_path))
    (tmp_path / "train.index").write_text("6")
    with pytest.raises(ValueError, match=r"molecule 6 of .*train\.pickle"):
        ready(root=str(tmp_path))


def test_the_download_fetches_and_converts_without_unpickling(tmp_path, home, monkeypatch):
    expected = write_official(tmp_path / "origin")
    monkeypatch.setattr(datasets.ZINC, "download", lambda self: shutil.copytree(tmp_path / "origin", self.raw_dir))
    monkeypatch.setattr(datasets.ZINC, "process", lambda self: pytest.fail("unpickled without restriction"))
    assert_same(ready(download=True).dataset("train"), expected["train"])
    monkeypatch.setattr(datasets.ZINC, "download", lambda self: pytest.fail("downloaded twice"))
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    assert_same(ready(download=True).dataset("train"), expected["train"])


def test_a_broken_download_leaves_nothing(tmp_path, home, monkeypatch):
    def broken(self):
        os.makedirs(self.raw_dir)
        raise ConnectionError("the network is down")

    monkeypatch.setattr(datasets.ZINC, "download", broken)
    with pytest.raises(ConnectionError):
        ready(download=True)
    assert not (cache_home() / "downloads" / "zinc").exists()


def test_offline_forbids_the_download(home, monkeypatch):
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    with pytest.raises(RuntimeError, match="EIGENZOO_OFFLINE is set, but ZINC"):
        ready(download=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"download": True, "root": "here"}, "download=True is not allowed with root='here'"),
        ({"subset": False}, "subset=False needs the official files"),
        ({"num_eigs": 0}, "num_eigs=0"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        ZINC(**arguments)


def test_an_empty_root_is_told_what_it_needs(tmp_path):
    with pytest.raises(ValueError, match=rf"train\.pickle, train\.index, .*, or {FILE_NAME}"):
        ready(root=str(tmp_path))
    shutil.copy(PACKAGED, tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match=r"needs train\.pickle, val\.pickle, test\.pickle$"):
        ready(root=str(tmp_path), subset=False)


def test_the_packaged_file_is_small_and_says_what_it_is():
    assert PACKAGED.stat().st_size < 500_000
    datamodule = ZINC()
    datamodule.datasets = {split: [] for split in SPLITS}
    metadata = datamodule.metadata()
    assert metadata["split"] == "ZINC-12k, surrogate train split" and metadata["source"] == PACKAGED.name
    assert json.loads(json.dumps(metadata)) == metadata


def test_targets_are_raw():
    assert ZINC().target_statistics() == ([0.0], [1.0])


def test_splits_are_disjoint_and_of_the_published_size(table):
    rows = [set(table.splits[split].tolist()) for split in SPLITS]
    assert [len(part) for part in rows] == [10_000, 1_000, 1_000]
    assert len(set.union(*rows)) == 12_000 == len(table.y)


@pytest.mark.parametrize(
    ("split", "mean", "std", "low", "high", "atom_types"),
    [
        ("train", -0.001, 2.045, -24.84, 4.22, {*range(17), 18, 19}),
        ("val", 0.039, 1.964, -20.47, 3.74, set(range(16))),
        ("test", 0.005, 2.044, -10.21, 3.46, set(range(17))),
    ],
)
def test_published_statistics(table, split, mean, std, low, high, atom_types):
    y = table.y[table.splits[split]]
    np.testing.assert_allclose([y.mean(), y.std()], [mean, std], atol=5e-4)
    np.testing.assert_allclose([y.min(), y.max()], [low, high], atol=5e-3)
    in_split = np.repeat(np.isin(np.arange(len(table.y)), table.splits[split]), table.num_nodes)
    assert set(table.node_types[in_split].tolist()) == atom_types


@pytest.mark.parametrize(("split", "error"), [("val", 1.432), ("test", 1.556)])
def test_error_of_the_best_constant(table, split, error):
    y = table.y[table.splits[split]]
    assert np.abs(y - np.median(y)).mean() == pytest.approx(error, abs=5e-4)


def test_repeated_eigenvalues_are_as_common_as_published(table):
    repeated = []
    for graph in table.split("val") + table.split("test"):
        adjacency = np.zeros((len(graph.x), len(graph.x)))
        adjacency[tuple(graph.edge_index)] = 1
        scale = adjacency.sum(0) ** -0.5
        eigvals = np.linalg.eigvalsh(np.eye(len(scale)) - scale[:, None] * adjacency * scale)
        repeated.append((np.diff(eigvals) < 1e-5).any())
    assert np.mean(repeated) == pytest.approx(0.644, abs=6e-4)


@pytest.mark.skipif(SHARED is None, reason="the file that the packaged one was made from is not at hand")
def test_the_packaged_molecules_are_those_of_their_source(table):
    source = ZINC().read_table(SHARED / "data" / "spe" / FILE_NAME)
    with np.load(SHARED / "data" / "spe" / FILE_NAME) as file:
        assert tuple(file["atom_vocab"].tolist()) == ATOM_TYPES
    for split in ("val", "test"):
        for graph, right in zip(table.split(split), source.split(split), strict=True):
            for key in ("x", "edge_index", "edge_attr", "y"):
                assert torch.equal(graph[key], right[key])
    np.testing.assert_array_equal(table.y[table.splits["train"]], source.y[source.splits["train"]])
