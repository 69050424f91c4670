import copy

import pytest
import torch

import zoo
from tests.tolerances import tolerance
from tests.zoo.spe.graphs import batch_of, graph, molecules, path, random_graph
from tests.zoo.spe.test_properties import NETWORKS, SMALL
from zoo.spe.gine import pool_nodes

CLOSE = tolerance(torch.float64)
GRAPHS = [random_graph(n, 3, n) for n in (9, 5, 12, 9)]


def build(name, **arguments):
    architecture, defaults = NETWORKS[name]
    return zoo.get_network(architecture, **{**defaults, **SMALL, **arguments})


def count(name, **arguments):
    return sum(parameter.numel() for parameter in zoo.get_network(name, **arguments).parameters())


UNUSED_37, UNUSED_8 = 26_661, 19_208  # the perceptron that the published rho holds and never calls


@pytest.mark.parametrize(
    ("published", "arguments"),
    [
        (651_495 - UNUSED_37, {}),
        (635_971 - UNUSED_8, {"num_eigs": 8, "phi": "deepsets", "phi_channels": 6, "phi_layers": 4}),
        (575_805, {"pe": "none", "width": 200}),
        (651_495 - UNUSED_37 + 153_600, {"inject": "every_layer"}),
    ],
)
def test_published_parameter_counts(published, arguments):
    assert count("spe-gine", **arguments) == published


def test_transformer_keeps_within_the_usual_budget():
    assert count("spe-transformer") <= 500_000


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("num_targets", [1, 3])
def test_shapes_and_dtypes(name, num_targets):
    network, batch = build(name, num_targets=num_targets), batch_of(*GRAPHS)
    assert network(batch).shape == (4, num_targets)
    assert network(batch).dtype == torch.float32
    assert network.double()(batch).dtype == torch.float64


@pytest.mark.parametrize("name", NETWORKS)
def test_single_precision_agrees_with_double(name):
    network, batch = build(name).eval(), batch_of(*GRAPHS)
    torch.testing.assert_close(
        network(batch).double(), copy.deepcopy(network).double()(batch), **tolerance(torch.float32)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    network = build(name)
    network(batch_of(*GRAPHS, *(random_graph(n, 4, n) for n in range(6, 16)))).square().sum().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []
    dead = [key for key, parameter in network.named_parameters() if not parameter.grad.any()]
    assert dead == []


def test_without_encodings_there_is_nothing_of_them():
    network = zoo.get_network("spe-gine", pe="none", inject="every_layer", aggregate="concat", width=8)
    network(batch_of(*GRAPHS)).sum().backward()
    assert not [key for key, parameter in network.named_parameters() if "pe" in key or parameter.grad is None]


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_round_trip(name):
    first, second, batch = build(name).eval(), build(name).eval(), batch_of(*GRAPHS)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(batch), second(batch))


@pytest.mark.parametrize("name", NETWORKS)
def test_extreme_graphs(name):
    """Single nodes, graphs without edges, and a batch of nothing else."""
    network = build(name).eval()
    assert network(batch_of(graph([], 1), graph([], 4))).isfinite().all()
    assert network(batch_of(graph([], 1), random_graph(9, 3, 0))).isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_autocast(name):
    network, batch = build(name).train(), batch_of(*GRAPHS)
    with torch.autocast("cpu", torch.bfloat16):
        network(batch).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_bonds_are_seen(name):
    network, batch = build(name).eval(), batch_of(*GRAPHS)
    changed = batch.clone()
    changed.edge_attr = (batch.edge_attr + 1) % 4
    assert not torch.allclose(network(changed), network(batch))


def test_transformer_sees_bonds_in_its_pair_features():
    network, batch = build("transformer", local=False).eval(), batch_of(*GRAPHS)
    changed = batch.clone()
    changed.edge_attr = (batch.edge_attr + 1) % 4
    assert not torch.allclose(network(changed), network(batch))


def test_modulated_attention_without_modulation_is_fused_attention():
    torch.manual_seed(0)
    modulated = build("transformer", value_modulation=True).double().eval()
    for block in modulated.blocks:
        block.attention.value.weight.data.zero_()
    fused = build("transformer").double().eval()
    fused.load_state_dict(modulated.state_dict(), strict=False)
    batch = batch_of(*GRAPHS)
    torch.testing.assert_close(modulated(batch), fused(batch), **CLOSE)


def test_gine_layer_is_torch_geometrics():
    from torch_geometric.nn import GINEConv

    layer = build("gine").double().eval().layers[0]
    layer.epsilon.data.fill_(0.25)
    batch = batch_of(*GRAPHS)
    h = torch.randn(batch.num_nodes, 8, dtype=torch.float64)
    expected = GINEConv(layer.mlp, eps=0.25)(h, batch.edge_index, layer.bonds(batch.edge_attr))
    torch.testing.assert_close(layer(h, batch.edge_index, batch.edge_attr), expected, **CLOSE)


def test_pooling():
    batch = batch_of(path(3), path(2))
    h = torch.arange(5.0)[:, None]
    assert pool_nodes(h, batch, "add").flatten().tolist() == [3.0, 7.0]
    assert pool_nodes(h, batch, "mean").flatten().tolist() == [1.0, 3.5]


def test_dropout_only_in_training():
    for name, rates in (
        ("gine", {"dropout": 0.5}),
        ("transformer", {"attention_dropout": 0.5}),
        ("transformer", {"dropout": 0.5}),
    ):
        network, batch = build(name, **rates), batch_of(*GRAPHS)
        assert not torch.equal(network(batch), network(batch))
        network.eval()
        assert torch.equal(network(batch), network(batch))


def test_learns_two_molecules_apart():
    torch.manual_seed(0)
    graphs = molecules(8)
    batch, network = (
        batch_of(*graphs, k=37),
        zoo.get_network("spe-gine", width=16, num_layers=2, **{**SMALL, "num_eigs": 37}),
    )
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = torch.nn.functional.l1_loss(network(batch), batch.y.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * batch.y.std()


@pytest.mark.parametrize(
    ("architecture", "name", "value"),
    [
        ("spe-gine", "num_atom_types", 0),
        ("spe-gine", "num_bond_types", 0),
        ("spe-gine", "num_targets", 0),
        ("spe-gine", "width", -1),
        ("spe-gine", "num_layers", 0),
        ("spe-gine", "pe", "signnet"),
        ("spe-gine", "inject", "output"),
        ("spe-gine", "aggregate", "peg"),
        ("spe-gine", "pool", "max"),
        ("spe-gine", "norm", "group"),
        ("spe-gine", "dropout", 1.5),
        ("spe-gine", "phi_channels", 0),
        ("spe-transformer", "width", 30),
        ("spe-transformer", "num_heads", 0),
        ("spe-transformer", "pair_width", 0),
        ("spe-transformer", "pool", "max"),
        ("spe-transformer", "norm", "group"),
        ("spe-transformer", "attention_dropout", -0.1),
        ("spe-transformer", "column_chunk", 5),
        ("spe-transformer", "official_padding", True),
        ("spe-transformer", "phi_channels", 1),
        ("spe-transformer", "phi", "constant"),
    ],
)
def test_bad_arguments_are_named(architecture, name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        zoo.get_network(architecture, **{name: value})


@pytest.mark.parametrize("architecture", ["spe-gine", "spe-transformer"])
def test_unknown_arguments_are_named(architecture):
    with pytest.raises(TypeError, match="num_eig"):
        zoo.get_network(architecture, num_eig=3)
