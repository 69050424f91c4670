"""Names, shapes and units of batch entries, in one place.

B graphs, N nodes, E directed edges, d eigenpairs and T targets per batch; everything is a tensor. A single graph is a
batch of one without `BATCH` and `PTR`.
"""

X = "x"
"""(N,) int64, type of each node; 0 where nodes have no type."""

EDGE_INDEX = "edge_index"
"""(2, E) int64, source and target of each edge; every undirected edge appears in both directions."""

EDGE_ATTR = "edge_attr"
"""(E,) int64, type of each edge; 0 where edges have no type."""

Y = "y"
"""(B, T) float64, targets in the units of the benchmark; absent from a user's own graphs."""

EIGVALS = "eigvals"
"""(B, d) float64, Laplacian eigenvalues in ascending order, zero-padded."""

EIGVECS = "eigvecs"
"""(N, d) float64, orthonormal eigenvectors in columns, zero-padded."""

NUM_EIGS = "num_eigs"
"""(B,) int64, number of valid eigenpairs of each graph."""

BATCH = "batch"
"""(N,) int64, graph of each node, ascending."""

PTR = "ptr"
"""(B + 1,) int64, first node of each graph, then N."""
