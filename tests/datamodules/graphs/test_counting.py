import json
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import torch

from datamodules.graphs.counting import (
    ARRAYS,
    FAMILIES,
    FILE_NAME,
    SubstructureCounting,
    generate,
    random_regular_graph,
)
from tests.paths import SHARED

TINY = {"num_train": 30, "num_val": 10, "num_test": 12}


def ready(**arguments):
    datamodule = SubstructureCounting(**{**TINY, "batch_size": 8, **arguments})
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


@pytest.mark.parametrize(("num_nodes", "degree"), FAMILIES)
def test_regular_graphs_are_regular(num_nodes, degree):
    generator = np.random.default_rng(0)
    for _ in range(20):
        edges = random_regular_graph(num_nodes, degree, generator)
        assert (edges[:, 0] < edges[:, 1]).all() and len({tuple(edge) for edge in edges}) == len(edges)
        assert (np.bincount(edges.reshape(-1), minlength=num_nodes) == degree).all()


def test_regular_graphs_have_every_labelling_alike():
    # There are 15 perfect matchings of 6 nodes; all must come equally often (a chi-squared test at 1e-4).
    generator = np.random.default_rng(0)
    drawn = Counter(random_regular_graph(6, 1, generator).tobytes() for _ in range(3000))
    assert len(drawn) == 15
    assert sum((number - 200) ** 2 / 200 for number in drawn.values()) < 42.6


def test_generated_graphs_are_of_the_benchmark():
    arrays = generate({"train": 200, "val": 100, "test": 100}, seed=0)
    assert set(arrays) == set(ARRAYS)
    sizes = Counter(zip(arrays["num_nodes"].tolist(), arrays["num_edges"].tolist(), strict=True))
    assert set(sizes) == {(n, n * k // 2 - n) for n, k in FAMILIES} == {(10, 20), (15, 30), (20, 30), (30, 45)}
    assert min(sizes.values()) > 60
    assert [len(arrays[f"{split}_index"]) for split in ("train", "val", "test")] == [200, 100, 100]
    assert sorted(np.concatenate([arrays[f"{split}_index"] for split in ("train", "val", "test")])) == list(range(400))


def test_targets_are_the_counts_of_each_graph():
    for graph in ready().dataset("test"):
        network = nx.Graph(graph.edge_index.T.tolist())
        lengths = [len(cycle) for cycle in nx.simple_cycles(network, length_bound=6)]
        assert graph.y.tolist() == [[lengths.count(length) for length in (3, 4, 5, 6)]]


def test_generation_is_a_function_of_the_seed():
    sizes = {"train": 20, "val": 5, "test": 5}
    first = generate(sizes, seed=0)
    np.random.seed(1)  # noqa: NPY002 - what must have no influence
    again, other = generate(sizes, seed=0), generate(sizes, seed=1)
    assert all(np.array_equal(first[name], again[name]) for name in ARRAYS)
    assert not np.array_equal(first["edge_uv"], other["edge_uv"])


def test_batches_are_bit_identical_on_any_number_of_workers():
    def epoch(num_workers):
        return list(ready(num_workers=num_workers).train_dataloader())

    state = torch.get_rng_state()
    for left, right in zip(epoch(0), epoch(2), strict=True):
        for key in left.keys():  # noqa: SIM118 - a Batch iterates over pairs
            assert torch.equal(left[key], right[key]), key
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_entries():
    batch = next(iter(ready().val_dataloader()))
    assert batch.y.shape == (8, 4) and batch.y.dtype == torch.float64
    assert batch.eigvals.shape == (8, 30) and batch.eigvecs.shape == (batch.num_nodes, 30)
    assert batch.eigvals.dtype == batch.eigvecs.dtype == torch.float64
    assert not batch.x.any() and not batch.edge_attr.any()
    assert torch.equal(batch.num_eigs, batch.ptr.diff())
    assert batch.is_undirected()


def test_statistics_are_those_of_the_training_split():
    datamodule = ready()
    counts = torch.cat([graph.y for graph in datamodule.dataset("train")]).numpy()
    mean, std = datamodule.target_statistics()
    np.testing.assert_allclose(mean, counts.mean(0))
    np.testing.assert_allclose(std, counts.std(0))
    assert len(datamodule.target_names) == 4


def test_nothing_is_written_before_prepare_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    SubstructureCounting(**TINY)
    assert not (tmp_path / "home").exists()


def test_predicting_the_users_graphs_needs_no_benchmark(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    (tmp_path / "mine.json").write_text('[{"id": "K3", "num_nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]}]')
    datamodule = SubstructureCounting(predict_path=str(tmp_path / "mine.json"))
    datamodule.prepare_data()
    datamodule.setup("predict")
    (batch,) = datamodule.predict_dataloader()
    assert datamodule.predict_ids == ["K3"] and batch.eigvals.shape == (1, 30)
    assert not (tmp_path / "home").exists()


def test_metadata_is_plain():
    metadata = ready().metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["sizes"] == {"train": 30, "val": 10, "test": 12} and len(metadata["sha256"]) == 64


def test_a_folder_gives_its_first_graphs(tmp_path):
    np.savez(tmp_path / FILE_NAME, **generate({"train": 40, "val": 20, "test": 20}, seed=5))
    datamodule = ready(root=str(tmp_path))
    assert [len(datamodule.dataset(split)) for split in ("train", "val", "test")] == [30, 10, 12]
    assert datamodule.metadata()["source"] == FILE_NAME
    with pytest.raises(ValueError, match=r"num_train=41 is not allowed.* has 40"):
        ready(root=str(tmp_path), num_train=41)


def test_a_bad_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=FILE_NAME):
        ready(root=str(tmp_path))
    (tmp_path / FILE_NAME).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=f"{FILE_NAME} cannot be read"):
        ready(root=str(tmp_path))
    np.savez(tmp_path / FILE_NAME, num_nodes=np.array([3]))
    with pytest.raises(ValueError, match="lacks num_edges, edge_uv"):
        ready(root=str(tmp_path))
    np.savez(tmp_path / FILE_NAME, num_nodes=np.array([object()]))
    with pytest.raises(ValueError, match="cannot be read as npz file of plain arrays"):
        ready(root=str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": 0}, "num_train=0"),
        ({"num_eigs": 0}, "num_eigs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        SubstructureCounting(**arguments)


@pytest.mark.skipif(SHARED is None, reason="the published graphs are not at hand")
def test_published_statistics(monkeypatch):
    datamodule = SubstructureCounting(root=str(SHARED / "data" / "spe"))
    table = datamodule.read_table(datamodule.source())
    counts = {split: table.y[rows] for split, rows in table.splits.items()}
    assert {split: len(rows) for split, rows in counts.items()} == {"train": 1500, "val": 1000, "test": 2500}
    mean, std = counts["train"].mean(0), counts["train"].std(0)
    np.testing.assert_allclose(mean, [4.962, 10.388, 21.554, 41.414], atol=5e-4)
    np.testing.assert_allclose(std, [3.018, 6.900, 15.403, 31.903], atol=5e-4)
    error = np.abs(counts["test"] - mean).mean(0) / std
    np.testing.assert_allclose(error, [0.892, 0.933, 0.926, 0.906], atol=5e-4)


def test_the_generated_benchmark_has_the_published_statistics():
    counts = generate({"train": 1500, "val": 1000, "test": 2500}, seed=0)["cycle_counts"]
    np.testing.assert_allclose(counts.mean(0), [4.962, 10.388, 21.554, 41.414], rtol=0.05)
    np.testing.assert_allclose(counts.std(0), [3.018, 6.900, 15.403, 31.903], rtol=0.05)
