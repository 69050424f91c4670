import copy

import pytest
import torch
from torch_geometric.data import Batch, Data

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import complete, cycle, molecules, path, random_graph, star
from zoo.spectral.transforms import AddLaplacianSpectrum, pad_spectra


def test_shapes_padding_and_dtypes():
    data = AddLaplacianSpectrum(8)(path(5))
    assert data.eigvals.shape == (1, 8)
    assert data.eigvecs.shape == (5, 8)
    assert data.num_eigs.tolist() == [5]
    assert data.eigvals.dtype == data.eigvecs.dtype == torch.float64
    assert not data.eigvals[:, 5:].any()
    assert not data.eigvecs[:, 5:].any()
    assert AddLaplacianSpectrum(8, dtype=torch.float32)(path(5)).eigvecs.dtype == torch.float32


def test_zero_eigenvalue_is_kept_and_values_ascend():
    eigvals = AddLaplacianSpectrum(6)(random_graph(9, 3, 0)).eigvals[0]
    assert eigvals[0].abs() < tolerance(torch.float64, LINEAR_ALGEBRA)["atol"]
    assert (eigvals.diff() >= 0).all()


def test_batches():
    batch = Batch.from_data_list(AddLaplacianSpectrum(4).transform_many([path(5), random_graph(6, 3, 1), path(3)]))
    assert batch.eigvals.shape == (3, 4)
    assert batch.eigvecs.shape == (14, 4)
    assert batch.num_eigs.tolist() == [4, 4, 3]


def test_all_pairs_batch_after_padding():
    graphs = AddLaplacianSpectrum(None).transform_many([path(5), path(3)])
    assert [data.eigvals.size(1) for data in graphs] == [5, 3]
    batch = Batch.from_data_list(pad_spectra(graphs))
    assert batch.eigvals.shape == (2, 5)
    assert batch.num_eigs.tolist() == [5, 3]
    assert graphs[1].eigvals.size(1) == 3  # the originals are left alone


def test_many_equal_one_by_one():
    transform, graphs = AddLaplacianSpectrum(6), [random_graph(n, 3, n) for n in (9, 7, 9, 8, 7)]
    for together, alone in zip(transform.transform_many(graphs), map(transform, graphs), strict=True):
        assert torch.equal(together.eigvals, alone.eigvals)
        assert torch.equal(together.eigvecs, alone.eigvecs)


def test_deterministic_on_molecules():
    graphs, transform = molecules(20), AddLaplacianSpectrum(37)
    first, second = (Batch.from_data_list(transform.transform_many(copy.deepcopy(graphs))) for _ in range(2))
    assert torch.equal(first.eigvecs, second.eigvecs)


def test_inputs_are_left_unchanged():
    data = path(4)
    AddLaplacianSpectrum(3)(data)
    AddLaplacianSpectrum(3).transform_many([data])
    assert "eigvals" not in data


def test_cut_through_an_eigenspace_warns_and_can_be_avoided():
    graphs = [star(5), star(5), path(6)]  # eigenvalues of the star: 0, 1 four times, 2
    with pytest.warns(UserWarning, match="k=3 cuts a repeated eigenspace in 2 of 3 graph"):
        AddLaplacianSpectrum(3).transform_many(graphs)
    with pytest.warns(UserWarning, match="k=3 cuts"):
        AddLaplacianSpectrum(3)(star(5))
    complete_spaces = AddLaplacianSpectrum(3, complete_eigenspace=True).transform_many(
        graphs
    )  # warnings are errors here
    assert [int(data.num_eigs) for data in complete_spaces] == [5, 5, 3]
    assert Batch.from_data_list(pad_spectra(complete_spaces)).eigvals.shape == (3, 5)


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e10])
def test_eigenspaces_are_told_apart_in_any_unit(unit):
    data = star(5)
    data.edge_weight = torch.full((data.num_edges,), unit)
    assert AddLaplacianSpectrum(3, None, complete_eigenspace=True)(data).num_eigs == 5


@pytest.mark.parametrize("data", [cycle(8), complete(5), path(6)])
def test_no_warning_where_nothing_is_cut(data):
    AddLaplacianSpectrum(1)(data)
    AddLaplacianSpectrum(data.num_nodes)(data)


def test_edge_weights_are_used():
    data = path(3)
    data.edge_weight = torch.tensor([2.0, 1.0, 2.0, 1.0])
    assert not torch.allclose(
        AddLaplacianSpectrum(3, None)(data).eigvals, AddLaplacianSpectrum(3, None)(path(3)).eigvals
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 3, "normalization": "other"}, "normalization='other'"),
        ({"k": 3, "dtype": torch.int64}, "dtype=torch.int64"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AddLaplacianSpectrum(**arguments)


def test_directed_and_empty_graphs_are_refused():
    with pytest.raises(ValueError, match="directed"):
        AddLaplacianSpectrum(3)(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
    with pytest.raises(ValueError, match="num_nodes=0"):
        AddLaplacianSpectrum(3)(Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=0))


def test_repr_names_the_arguments():
    assert "k=3" in repr(AddLaplacianSpectrum(3))
