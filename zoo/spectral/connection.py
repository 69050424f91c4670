r"""The connection Laplacian of a point cloud: a neighbour graph, tangent frames, parallel transport, eigenpairs.

With :math:`w_{ij}` the weight of an edge, :math:`R_{ij} \in O(d)` the transport from j to i (`zoo.spectral.frames`) and
:math:`d_i = \sum_j w_{ij}`, a vector field has coordinates :math:`v_i \in R^d` in the frame of point i, and

.. math:: (L v)_i = d_i v_i - \sum_j w_{ij} R_{ij} v_j,
          \qquad v^T L v = \sum_{i<j} w_{ij} |v_i - R_{ij} v_j|^2 \ge 0.

Eigenvectors solve :math:`L u = \lambda M u`, M = 1 unless weights are corrected for the density of the points. The
matrix is :math:`(nd, nd)`, with rows ordered by point and then by coordinate.

Sources: Singer and Wu, "Vector diffusion maps and the connection Laplacian", CPAM 65 (2012); Peach et al., "Implicit
Gaussian process representation of vector fields over arbitrary latent manifolds", ICLR 2024 (arXiv 2309.16746).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from torch import Tensor

from zoo.checks import require, require_above, require_choice, require_positive
from zoo.spectral.connection_eigenpairs import assemble, connection_eigenpairs, flipped
from zoo.spectral.edge_weights import Weights, edge_weights
from zoo.spectral.edge_weights import kernel_weights as kernel_weights
from zoo.spectral.eigensolver import lowest_eigenpairs
from zoo.spectral.frames import (
    agreement,
    check_dimension,
    check_frames,
    estimate_dimension,
    principal_directions,
    transports,
)
from zoo.spectral.meshes import check_faces, mesh_edges
from zoo.spectral.orientation import Orientation, orient, synchronize
from zoo.spectral.point_graph import (
    Array,
    Disconnected,
    Indices,
    Ties,
    check_points,
    components,
    connect,
    degrees,
    edge_matrix,
    nearest_with_ties,
    neighbor_graph,
    undirected,
)

SHORT_CIRCUIT = 0.6
"""Agreement of tangent spaces below which an edge is reported: it joins two sheets, or crosses a sharp bend."""


@dataclass(frozen=True)
class ConnectionLaplacian:
    """A point cloud with its connection Laplacian and the lowest eigenpairs.

    Attributes:
        points: (n, D).
        frames: (n, D, d) orthonormal columns that span the tangent spaces; of one handedness where there is one.
        edge_index: (2, E) int64, edges in both directions, sorted.
        weights: (E,), > 0; cotangent ones, >= 0.
        transports: (E, d, d) orthogonal, R_ij of the edge (i, j).
        mass: (n,), the diagonal of M, of mean 1.
        eigvals: (k,) ascending, >= 0, in the units of the graph: for unit weights between 0 and twice the degree.
        eigvecs: (n, d, k), scaled so that u^T M u = n d.
        orientation: how the frames relate, before they were oriented.
        singular_values: (n, r) of the neighbourhoods that the frames come from; None where frames were given.
        bandwidth: of Gaussian weights, a length^2; None for others.
        alpha: exponent of the density correction; None without one.
    """

    points: Array
    frames: Array
    edge_index: Indices
    weights: Array
    transports: Array
    mass: Array
    eigvals: Array
    eigvecs: Array
    orientation: Orientation
    singular_values: Array | None
    bandwidth: float | None
    alpha: float | None

    @property
    def num_points(self) -> int:
        """The number of points n."""
        return len(self.points)

    @property
    def dim(self) -> int:
        """The dimension d of the manifold."""
        return self.frames.shape[2]

    @property
    def degree(self) -> Array:
        """The sum of the weights at each point, (n,)."""
        return degrees(self.edge_index, self.weights, self.num_points)

    @cached_property
    def matrix(self) -> scipy.sparse.csr_matrix:
        """The connection Laplacian, (n d, n d) float64, symmetric, positive semi-definite."""
        return assemble(self.edge_index, self.weights, self.transports, self.num_points)

    @cached_property
    def scalar_matrix(self) -> scipy.sparse.csr_matrix:
        """The graph Laplacian of the same weights, (n, n) float64."""
        adjacency = edge_matrix(self.edge_index, self.weights, self.num_points)
        return (scipy.sparse.diags(self.degree) - adjacency).tocsr()

    @cached_property
    def scale(self) -> float:
        """What eigenvalues are divided by to be those of the Laplacian of the manifold, a length^2.

        The sum of w |x_i - x_j|^2 over all edges in both directions, over 2 d n: exact where neighbours lie the same
        around all points, some percent too large on irregular points.
        """
        source, target = self.edge_index
        squares = ((self.points[source] - self.points[target]) ** 2).sum(1)
        return float((self.weights * squares).sum() / (2 * self.dim * self.num_points))

    @property
    def physical_eigvals(self) -> Array:
        """The eigenvalues in units of 1 / length^2, near those of the Bochner Laplacian, see `scale`."""
        return self.eigvals / self.scale

    def scalar_eigenpairs(self, k: int, snap: bool = False) -> tuple[Array, Array]:
        """Return the lowest eigenpairs of the graph Laplacian, (m,) and (n, m), scaled so that u^T M u = n.

        They are solved for once and kept, and not to be written to.
        """
        if (k, snap) not in self._scalar_eigenpairs:
            values, vectors = lowest_eigenpairs(self.scalar_matrix, k, self.mass, snap)
            self._scalar_eigenpairs[k, snap] = values, np.real(vectors) * np.sqrt(self.num_points)
        return self._scalar_eigenpairs[k, snap]

    @cached_property
    def _scalar_eigenpairs(self) -> dict[tuple[int, bool], tuple[Array, Array]]:
        return {}

    def diagnostics(self) -> Diagnostics:
        """Return what hints at a graph that does not follow the surface."""
        agreements = agreement(self.frames, self.edge_index)
        low = np.flatnonzero((agreements < SHORT_CIRCUIT) & (self.edge_index[0] < self.edge_index[1]))
        pairs = self.eigvals[: len(self.eigvals) // 2 * 2].reshape(-1, 2)
        doubling = float(np.abs(pairs[:, 1] - pairs[:, 0]).max()) if self.dim == 2 and len(pairs) else None
        return Diagnostics(
            components=components(self.edge_index, self.num_points)[0],
            orientable=self.orientation.orientable,
            orientation_defect=self.orientation.defect,
            inconsistent_edges=len(self.orientation.inconsistent) // 2,
            short_circuits=self.edge_index[:, low],
            doubling_defect=doubling,
        )


@dataclass(frozen=True)
class Diagnostics:
    """What hints at a graph that does not follow the surface.

    Attributes:
        components: number of components of the graph; fields in one say nothing about another.
        orientable: whether frames can be flipped so that all transports are rotations.
        orientation_defect: smallest eigenvalue of the signed Laplacian, 0 if orientable.
        inconsistent_edges: number of edges that contradict the orientation; zero on a well-sampled orientable surface.
        short_circuits: (2, F), edges between tangent spaces that are far from parallel.
        doubling_defect: largest gap within the pairs of eigenvalues, 0 on oriented surfaces; None unless d = 2.
    """

    components: int
    orientable: bool
    orientation_defect: float
    inconsistent_edges: int
    short_circuits: Indices
    doubling_defect: float | None


def connection_laplacian(
    points: Tensor | ArrayLike,
    k: int | None = 100,
    *,
    n_neighbors: int = 10,
    dim: int | None = None,
    explained_variance: float = 0.8,
    frame_neighbors: float = 1.5,
    weights: Weights = "unit",
    bandwidth: float | None = None,
    alpha: float | None = None,
    faces: Tensor | ArrayLike | None = None,
    frames: Tensor | ArrayLike | None = None,
    edge_index: Tensor | ArrayLike | None = None,
    ties: Ties = "all",
    disconnected: Disconnected = "raise",
    snap_k: bool = False,
) -> ConnectionLaplacian:
    """Return the connection Laplacian of a point cloud or a mesh, with its lowest eigenpairs.

    Args:
        points: (n, D), float64 throughout, in any unit; distinct rows.
        k: number of eigenpairs; all n d if None, by the dense solver.
        n_neighbors: number of neighbours of each point; an edge needs one of its ends to be a neighbour of the other.
        dim: dimension d of the manifold; estimated from `explained_variance` if None.
        explained_variance: share of the variance in a neighbourhood that the tangent space explains, in (0, 1].
        frame_neighbors: neighbours for the tangent frames, in units of `n_neighbors`; a neighbourhood holds
            the point and int(n_neighbors * frame_neighbors) nearest ones, more where distances are equal.
        weights: "unit"; "gaussian", exp(-distance^2 / bandwidth); or "cotan", which needs `faces` and has the vertex
            areas as mass.
        bandwidth: a length^2 for "gaussian"; the square of the median edge if None.
        alpha: 0, 0.5 or 1 for "gaussian": weights are divided by the density to this power at both ends, and the mass
            is the degree (the random walk of diffusion maps). With 1, eigenvalues do not depend on how densely points
            lie in the limit. None: no correction, M = 1.
        faces: (F, 3) triangles: their edges are the graph.
        frames: (n, D, d) orthonormal, instead of those estimated.
        edge_index: (2, E) edges of one's own, made undirected; instead of nearest neighbours.
        ties: see `neighbor_graph`.
        disconnected: see `connect`.
        snap_k: add eigenpairs until the next gap, as an incomplete eigenspace depends on the solver.

    Raises:
        ValueError: an argument is out of its range; points coincide, are not finite or too few; the graph is not
            connected.

    Example:
        >>> import numpy as np
        >>> angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> connection_laplacian(circle, k=3, n_neighbors=2, dim=1, frame_neighbors=1).eigvals.round(4)
        array([0.    , 0.0246, 0.0246])
    """
    cloud = check_points("points", points)
    require_choice("weights", weights, ("unit", "gaussian", "cotan"))
    require_choice("alpha", alpha, (None, 0, 0.5, 1))
    require(weights == "gaussian" or alpha is None, "alpha", alpha, "None unless weights='gaussian'")
    require(weights == "gaussian" or bandwidth is None, "bandwidth", bandwidth, "None unless weights='gaussian'")
    require_positive(n_neighbors=n_neighbors)
    require_above(0, frame_neighbors=frame_neighbors)

    triangles = None if faces is None else check_faces(faces, len(cloud))
    require(weights != "cotan" or triangles is not None, "faces", None, "the triangles that weights='cotan' needs")
    graph = _graph(cloud, triangles, edge_index, n_neighbors, ties)
    graph = connect(cloud, graph, disconnected)
    size = 1 + int(n_neighbors * frame_neighbors)
    basis, singular_values = _frames(cloud, frames, size, dim, explained_variance)
    rotations = transports(basis, graph)
    orientation = synchronize(graph, np.linalg.det(rotations).round(), agreement(basis, graph), len(cloud))
    if frames is None and orientation.orientable:
        basis = orient(basis, orientation.signs)
        rotations = flipped(rotations, graph, orientation.signs)

    values, mass, width = edge_weights(cloud, graph, triangles, weights, bandwidth, alpha)
    eigvals, eigvecs = connection_eigenpairs(graph, values, rotations, mass, orientation, frames is not None, k, snap_k)
    return ConnectionLaplacian(
        points=cloud,
        frames=basis,
        edge_index=graph,
        weights=values,
        transports=rotations,
        mass=mass,
        eigvals=eigvals,
        eigvecs=eigvecs,
        orientation=orientation,
        singular_values=singular_values,
        bandwidth=width,
        alpha=alpha,
    )


def _graph(
    cloud: Array, faces: Indices | None, edge_index: Tensor | ArrayLike | None, n_neighbors: int, ties: Ties
) -> Indices:
    if edge_index is not None:
        require(faces is None, "edge_index", "edges", "either edges or faces, not both")
        edges = edge_index.cpu().numpy() if isinstance(edge_index, Tensor) else np.asarray(edge_index)
        fits = edges.ndim == 2 and len(edges) == 2 and edges.dtype.kind in "iu" and edges.size > 0
        require(fits, "edge_index", f"{edges.dtype} {edges.shape}", "integers (2, E)")
        inside = bool(edges.min() >= 0 and edges.max() < len(cloud))
        require(inside, "edge_index", f"nodes {edges.min()} to {edges.max()}", f"nodes from 0 to {len(cloud) - 1}")
        return undirected(edges.astype(np.int64), len(cloud))
    if faces is not None:
        return mesh_edges(faces, len(cloud))
    return neighbor_graph(cloud, n_neighbors, ties)


def _frames(
    cloud: Array,
    frames: Tensor | ArrayLike | None,
    size: int,
    dim: int | None,
    explained_variance: float,
) -> tuple[Array, Array | None]:
    if frames is not None:
        given = frames.detach().cpu().numpy() if isinstance(frames, Tensor) else np.asarray(frames)
        given = given.astype(np.float64)
        check_frames(given, cloud)
        require(dim in (None, given.shape[2]), "dim", dim, f"{given.shape[2]}, the number of columns of frames")
        return given, None
    # A neighbour left out of a tie would tilt the frame.
    neighbors, members = nearest_with_ties(cloud, size - 1)
    neighborhoods = np.concatenate([np.arange(len(cloud))[:, None], neighbors], axis=1)
    members = np.concatenate([np.ones((len(cloud), 1), dtype=bool), members], axis=1)
    directions, singular_values = principal_directions(cloud, neighborhoods, members)
    if dim is None:
        dim = estimate_dimension(singular_values, explained_variance)
    else:
        check_dimension(dim, cloud, size)
    return np.ascontiguousarray(directions[:, :, :dim]), singular_values
