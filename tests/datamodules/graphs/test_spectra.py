import pytest
import torch

from datamodules.graphs.spectra import with_spectra
from tests.datamodules.graphs.toys import random_graphs
from zoo.spectral.transforms import AddLaplacianSpectrum


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("num_eigs", [None, 8])
def test_what_is_cached_is_what_the_transform_gives(num_eigs):
    transform = AddLaplacianSpectrum(num_eigs)
    graphs = random_graphs(10)
    expected = transform.transform_many(graphs)
    for _ in range(2):  # computed, then read
        for graph, right in zip(with_spectra(graphs, transform), expected, strict=True):
            for key in ("x", "edge_index", "eigvals", "eigvecs", "num_eigs", "y"):
                assert torch.equal(graph[key], right[key]), key


def test_the_second_time_nothing_is_computed(monkeypatch):
    graphs = random_graphs(10)
    with_spectra(graphs, AddLaplacianSpectrum(8))
    monkeypatch.setattr(AddLaplacianSpectrum, "transform_many", lambda *_: pytest.fail("computed again"))
    with_spectra(graphs, AddLaplacianSpectrum(8))


def test_other_graphs_and_other_transforms_have_their_own_entries(home):
    with_spectra(random_graphs(10), AddLaplacianSpectrum(8))
    with_spectra(random_graphs(10, seed=1), AddLaplacianSpectrum(8))
    with_spectra(random_graphs(10), AddLaplacianSpectrum(9))
    with_spectra(random_graphs(10), AddLaplacianSpectrum(8, normalization=None))
    assert len(list(home.rglob("spectra.safetensors"))) == 4


def test_one_graph_does_not_hold_the_storage_of_all():
    graph = with_spectra(random_graphs(10), AddLaplacianSpectrum(8))[0]
    assert graph.eigvecs.untyped_storage().nbytes() == graph.eigvecs.numel() * 8


def test_the_given_graphs_are_left_alone():
    graphs = random_graphs(3)
    with_spectra(graphs, AddLaplacianSpectrum(8))
    assert all("eigvals" not in graph for graph in graphs)
