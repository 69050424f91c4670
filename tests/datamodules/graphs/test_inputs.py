"""A user's files: what is right is read, what is wrong is named, and nothing is executed."""

import builtins
import json
import os
import pickle
import zipfile

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from datamodules.graphs import inputs
from datamodules.graphs.inputs import read_graphs
from datamodules.graphs.vocabulary import MAX_NODES, Vocabulary
from datamodules.graphs.zinc import ATOM_TYPES, BOND_TYPES, ZINC

PLAIN = Vocabulary()
MOLECULES = Vocabulary(ATOM_TYPES, BOND_TYPES)
TRIANGLE = {"id": "K3", "num_nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]}
CHAIN = {"num_nodes": 3, "edges": [[0, 1], [1, 2]], "atom_types": [0, 0, 2], "bond_types": [1, 2]}


def labelled(graph: Data) -> nx.Graph:
    network = nx.Graph()
    network.add_nodes_from((node, {"type": kind}) for node, kind in enumerate(graph.x.tolist()))
    for edge, kind in zip(graph.edge_index.T.tolist(), graph.edge_attr.tolist(), strict=True):
        network.add_edge(*edge, type=kind)
    return network


def same_graph(left: Data, right: Data) -> bool:
    return nx.is_isomorphic(labelled(left), labelled(right), node_match=dict.__eq__, edge_match=dict.__eq__)


def written(path, value):
    if path.suffix == ".json":
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    elif path.suffix == ".pt":
        torch.save(value, path)
    else:
        path.write_text(value)
    return path


class TestJSON:
    def read(self, tmp_path, value, vocabulary=PLAIN):
        return read_graphs(written(tmp_path / "graphs.json", value), vocabulary)

    def test_graphs_without_types(self, tmp_path):
        names, (triangle, dots) = self.read(tmp_path, [TRIANGLE, {"num_nodes": 2, "edges": []}])
        assert names == ["K3", "1"]
        assert triangle.edge_index.tolist() == [[0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]]
        assert triangle.x.tolist() == [0, 0, 0] and not triangle.edge_attr.any()
        assert dots.edge_index.shape == (2, 0) and dots.edge_index.dtype == torch.int64

    def test_graphs_with_types(self, tmp_path):
        _, (graph,) = self.read(tmp_path, [CHAIN], MOLECULES)
        assert graph.x.tolist() == [0, 0, 2] and graph.edge_attr.tolist() == [1, 2, 1, 2]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"edges": [[0, 3]]}, r"edge \[0, 3\] is not allowed; nodes are 0 to 2"),
            ({"edges": [[0, -1]]}, r"edge \[0, -1\] is not allowed"),
            ({"edges": [[1, 1]]}, r"edge \[1, 1\] is a self-loop"),
            ({"edges": [[0, 1], [1, 0]]}, "an edge appears twice"),
            ({"edges": [[0, 1]] * 4}, "4 edges are more than 3 nodes can have"),
            ({"edges": [[0, 1, 2]]}, "edges must be a list of pairs of integers"),
            ({"edges": [[0, 1.0]]}, "edges must be a list of pairs of integers"),
            ({"edges": [[0, True]]}, "edges must be a list of pairs of integers"),
            ({"edges": [[0, 10**30]]}, "edges must be a list of pairs of integers"),
            ({"edges": "01"}, "edges must be a list of pairs of integers"),
            ({"edges": None}, "edges must be a list of pairs of integers"),
            ({"num_nodes": 0, "edges": []}, f"num_nodes=0 is not allowed; give 1 to {MAX_NODES}"),
            ({"num_nodes": 10**12}, "num_nodes=1000000000000 is not allowed"),
            ({"num_nodes": "3"}, "num_nodes='3' is not allowed; give an integer"),
            ({"atom_types": [0, 0]}, "3 atom_types are needed, found 2"),
            ({"atom_types": [0, 0, 1]}, r"atom_types holds 1; allowed: 0 \(node\)"),
            ({"bond_types": [0, 0, "1"]}, "bond_types must be a list of integers"),
            ({"nodes": 3}, "unknown key 'nodes'; allowed: id, num_nodes, edges"),
        ],
    )
    def test_a_bad_graph_is_named(self, tmp_path, change, message):
        with pytest.raises(ValueError, match=rf"graphs\.json: graph 'K3': .*{message}"):
            self.read(tmp_path, [TRIANGLE | change])

    @pytest.mark.parametrize("key", ["atom_types", "bond_types"])
    def test_types_are_needed_where_the_benchmark_has_them(self, tmp_path, key):
        chain = {name: value for name, value in CHAIN.items() if name != key}
        with pytest.raises(ValueError, match=rf"{key} are needed, found none; allowed: 0 \("):
            self.read(tmp_path, [chain], MOLECULES)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "graphs.json"),
            ("{", "graphs.json"),
            ("{}", "holds a dict; give a list"),
            ("[]", "holds no graph"),
            ("[1]", "graph 0 is a int"),
            ("[" * 100_000, "nested too deeply"),
        ],
    )
    def test_a_bad_file_is_named(self, tmp_path, text, message):
        with pytest.raises(ValueError, match=message):
            self.read(tmp_path, text)


class TestTorch:
    def read(self, tmp_path, value, vocabulary=MOLECULES):
        return read_graphs(written(tmp_path / "graphs.pt", value), vocabulary)

    def chain(self, **change):
        entries = {
            "x": torch.tensor([[0], [0], [2]]),
            "edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
            "edge_attr": torch.tensor([1, 1, 2, 2]),
        }
        return Data(**{**entries, **change})

    def test_one_graph_or_a_list(self, tmp_path):
        names, graphs = self.read(tmp_path, self.chain())
        assert names == ["0"]
        assert graphs[0].x.tolist() == [0, 0, 2] and graphs[0].edge_attr.tolist() == [1, 2, 1, 2]
        names, more = self.read(tmp_path, [self.chain(), self.chain()])
        assert names == ["0", "1"] and same_graph(more[1], graphs[0])

    def test_the_same_graph_as_in_json(self, tmp_path):
        _, (expected,) = read_graphs(written(tmp_path / "graphs.json", [CHAIN]), MOLECULES)
        _, (graph,) = self.read(tmp_path, self.chain())
        for key in ("x", "edge_index", "edge_attr"):
            assert torch.equal(graph[key], expected[key])

    def test_types_are_optional_where_the_benchmark_has_none(self, tmp_path):
        bare = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=3)
        _, (graph,) = self.read(tmp_path, bare, PLAIN)
        assert graph.x.tolist() == [0, 0, 0] and graph.edge_attr.tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"edge_index": torch.tensor([[0, 1], [1, 2]])}, "edge_attr has 4 rows for 2 columns"),
            ({"edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 0]])}, "each edge in both directions"),
            ({"edge_attr": torch.tensor([1, 2, 2, 2])}, "each edge in both directions, with the same type"),
            ({"edge_index": torch.tensor([[0, 1, 1, 5], [1, 0, 5, 1]])}, r"edge \[1, 5\] is not allowed"),
            ({"edge_index": torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1]])}, r"edge \[1, 1\] is a self-loop"),
            ({"edge_index": torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]])}, "an edge appears twice|both directions"),
            ({"edge_index": torch.rand(2, 4)}, "edge_index must be a tensor of integers"),
            ({"edge_index": None}, "edge_index must be a tensor of integers"),
            ({"x": torch.eye(3)}, "x must be a tensor of integers with one type per row"),
            ({"x": torch.zeros(3, 2, dtype=torch.int64)}, "x must be a tensor of integers with one type per row"),
            ({"x": torch.tensor([0, 0, 28])}, "atom_types holds 28"),
            ({"x": None, "num_nodes": 3}, "3 atom_types are needed, found none"),
            ({"edge_attr": None}, "2 bond_types are needed, found none"),
            ({"x": torch.zeros(1, dtype=torch.int64).expand(10**12)}, "num_nodes=1000000000000 is not allowed"),
        ],
    )
    def test_a_bad_graph_is_named(self, tmp_path, change, message):
        with pytest.raises(ValueError, match=rf"graphs\.pt: graph 1: .*({message})"):
            self.read(tmp_path, [self.chain(), self.chain(**change)])

    @pytest.mark.parametrize("value", [3, [torch.ones(2)], {"x": torch.ones(2)}, []])
    def test_something_else_is_refused(self, tmp_path, value):
        with pytest.raises(ValueError, match=r"give a torch_geometric Data|holds no graph"):
            self.read(tmp_path, value)

    def test_nothing_is_executed(self, tmp_path):
        class Payload:
            def __reduce__(self):
                return os.system, (f"touch {tmp_path / 'canary'}",)

        path = tmp_path / "evil.pt"
        path.write_bytes(pickle.dumps(Payload(), protocol=2))
        with pytest.raises(ValueError, match="cannot be read as torch_geometric graphs in safe mode"):
            read_graphs(path, MOLECULES)
        assert not (tmp_path / "canary").exists()

    def test_a_file_that_unpacks_to_more_than_allowed_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(inputs, "MAX_BYTES", 100_000)
        path = tmp_path / "bomb.pt"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/0", bytes(1_000_000))
        assert path.stat().st_size < 100_000
        with pytest.raises(ValueError, match=r"it has 1000000 bytes; allowed: at most 100000"):
            read_graphs(path, MOLECULES)

    def test_a_damaged_file_is_refused(self, tmp_path):
        path = written(tmp_path / "graphs.pt", self.chain())
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=r"graphs\.pt: it cannot be read"):
            read_graphs(path, MOLECULES)


class TestMolecules:
    @pytest.fixture(autouse=True)
    def needs_rdkit(self):
        pytest.importorskip("rdkit")

    def read(self, tmp_path, text, name="molecules.smi", vocabulary=MOLECULES):
        return read_graphs(written(tmp_path / name, text), vocabulary)

    def test_lines_with_and_without_names(self, tmp_path):
        names, (ethanol, hydrogen_cyanide) = self.read(tmp_path, "CCO\n\n C#N\thydrogen cyanide \n")
        assert names == ["CCO", "hydrogen cyanide"]
        assert [ATOM_TYPES[atom] for atom in ethanol.x] == ["C", "C", "O"]
        assert [BOND_TYPES[bond] for bond in hydrogen_cyanide.edge_attr] == ["triple", "triple"]

    def test_table(self, tmp_path):
        text = "id,smiles\nethanol,CCO\n,CC\n"
        names, graphs = self.read(tmp_path, text, "molecules.csv")
        assert names == ["ethanol", "CC"] and [len(graph.x) for graph in graphs] == [3, 2]

    def test_a_table_without_the_column_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="'smiles'"):
            self.read(tmp_path, "name,structure\na,CCO\n", "molecules.csv")

    def test_benzene_is_kekulised(self, tmp_path):
        _, (benzene,) = self.read(tmp_path, "c1ccccc1")
        assert benzene.edge_attr[:6].tolist() in ([1, 2] * 3, [2, 1] * 3, [1, 2, 1, 2, 1, 2])
        assert sorted(benzene.edge_attr.tolist()) == [1] * 6 + [2] * 6

    @pytest.mark.parametrize(
        ("smiles", "atoms"),
        [
            ("C[C@H](N)O", ["C", "C H1", "N", "O"]),
            ("C[NH3+]", ["C", "N H3 +"]),
            ("CC(=O)[O-]", ["C", "C", "O", "O -"]),
            ("c1cc[nH]c1", ["C", "C", "C", "N", "C"]),
            ("C[N+](=O)[O-]", ["C", "N +", "O", "O -"]),
        ],
    )
    def test_types_are_symbol_hydrogens_and_charge(self, tmp_path, smiles, atoms):
        _, (graph,) = self.read(tmp_path, smiles)
        assert [ATOM_TYPES[atom] for atom in graph.x] == atoms

    @pytest.mark.parametrize(
        ("smiles", "message"),
        [
            ("C[Si](C)(C)C", r"molecule 'C\[Si\]\(C\)\(C\)C': atom 'Si' is unknown; allowed: C, O, N"),
            ("[Ca+2]", r"atom 'Ca \+2' is unknown"),
            ("C(C", r"molecule 'C\(C' is no valid SMILES string"),
            ("C" * 10_001, "has 10001 characters; allowed: 1 to 10000"),
            ("C" * 6_000, "num_nodes=6000 is not allowed"),
        ],
    )
    def test_a_bad_molecule_is_named(self, tmp_path, smiles, message):
        with pytest.raises(ValueError, match=rf"molecules\.smi: .*{message}"):
            self.read(tmp_path, f"CCO\n{smiles}\n")

    def test_molecules_are_no_inputs_of_a_benchmark_without_atoms(self, tmp_path):
        with pytest.raises(ValueError, match="this benchmark's graphs have no atom types"):
            self.read(tmp_path, "CCO\n", vocabulary=PLAIN)

    def test_a_binary_file_is_refused(self, tmp_path):
        (tmp_path / "molecules.smi").write_bytes(b"\xff\xfe\x00CCO")
        with pytest.raises(ValueError, match=r"molecules\.smi: "):
            read_graphs(tmp_path / "molecules.smi", MOLECULES)

    def test_without_rdkit_the_extra_is_named(self, tmp_path, monkeypatch):
        original = builtins.__import__

        def without_rdkit(name, *arguments, **options):
            if name.split(".")[0] == "rdkit":
                raise ImportError(name)
            return original(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", without_rdkit)
        with pytest.raises(ImportError, match=r"pip install 'eigenzoo\[chem\]'"):
            self.read(tmp_path, "CCO\n")

    def test_molecules_of_the_benchmark_come_back_from_their_smiles(self, tmp_path):
        datamodule = ZINC()
        graphs = datamodule.read_table(datamodule.source()).split("test")[:100]
        _, read = self.read(tmp_path, "\n".join(map(smiles_of, graphs)))
        assert all(map(same_graph, read, graphs))
        assert not same_graph(read[0], graphs[1])


def smiles_of(graph: Data) -> str:
    from rdkit import Chem

    molecule = Chem.RWMol()
    for number in graph.x.tolist():
        symbol, *rest = ATOM_TYPES[number].split()
        atom = Chem.Atom(symbol)
        for part in rest:
            atom.SetNoImplicit(True)
            if part.startswith("H"):
                atom.SetNumExplicitHs(int(part[1:]))
            else:
                atom.SetFormalCharge({"+": 1, "-": -1}[part])
        if ATOM_TYPES[number] == "C H1":
            atom.SetChiralTag(Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
        molecule.AddAtom(atom)
    for (u, v), number in zip(graph.edge_index.T.tolist(), graph.edge_attr.tolist(), strict=True):
        if u < v:
            molecule.AddBond(u, v, Chem.BondType.names[BOND_TYPES[number].upper()])
    return Chem.MolToSmiles(molecule)


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "graphs.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"suffix '\.pkl'; allowed: \.smi, \.txt, \.csv, \.json, \.pt"):
        read_graphs(tmp_path / "graphs.pkl", PLAIN)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"graphs\.json"):
        read_graphs(tmp_path / "graphs.json", PLAIN)


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10, give the graphs in several files"):
        read_graphs(written(tmp_path / "graphs.json", [TRIANGLE]), PLAIN)


def test_the_datamodule_adds_the_spectra_of_training(tmp_path):
    names, (graph,) = ZINC(num_eigs=5).read_inputs(str(written(tmp_path / "graphs.json", [CHAIN])))
    assert names == ["0"]
    np.testing.assert_allclose(graph.eigvals[0, :3], [0, 1, 2], atol=1e-12)
    assert graph.eigvecs.shape == (3, 5) and graph.num_eigs.tolist() == [3]
