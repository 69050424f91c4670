"""A rubber unit cell with a void, pulled at its top: hyperelastic in plane stress.

The square [0, 1]^2 has a star-shaped void around its centre; it is clamped at the bottom and pulled with the traction
(0, 100) at the top. The material is incompressible Rivlin-Saunders, W = C1 (I1 - 3) + C2 (I2 - 3); in plane stress the
thickness follows from the deformation in the plane, C33 = 1 / det C, so that no pressure is left:

    S = 2 C1 (1 - C^-1 / det C) + 2 C2 (det C C^-1 + 1 / det C - tr C / det C C^-1)

Bilinear elements on a mesh of rays and rings around the void, Newton's method with sparse LU.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from datamodules.fields.arrays import Array

C1, C2 = 1.863e5, 9.79e3
TRACTION = (0.0, 100.0)
CENTER = 0.5
MODES = 5  # of the void's radius
CODE_POINTS = 42  # radii that describe a void
GRADING = 1.5  # of the mesh, towards the void
MAX_ITERATIONS = 20


def void_radius(coefficients: Array, angles: Array) -> Array:
    """Return the radius of the void at some angles.

    r = 0.2 + 0.2 / (1 + exp(g)), g the first modes of a Gaussian field on the circle with covariance
    16 (-Laplacian + 9)^-1.

    Args:
        coefficients: standard normal numbers (2 MODES,), of the cosines, then of the sines.
        angles: of any shape.

    Returns:
        Radii of the shape of `angles`, between 0.2 and 0.4.
    """
    k = np.arange(1, MODES + 1)
    cosines, sines = np.split(coefficients * np.tile(np.sqrt(16 / (k**2 + 9) / np.pi), 2), 2)
    phases = angles[..., None] * k
    field = np.cos(phases) @ cosines + np.sin(phases) @ sines
    return 0.2 + 0.2 / (1 + np.exp(field))


def ray_angles(rays: int) -> Array:
    """Return the angles of equispaced rays (rays,); corners of the square are among them for 4, 12, 20, ... rays."""
    return 2 * np.pi * (np.arange(rays) + 0.5) / rays


def square_radius(angles: Array) -> Array:
    """Return the distance from the centre of the square to its boundary at some angles."""
    return 0.5 / np.maximum(abs(np.cos(angles)), abs(np.sin(angles)))


def ring_mesh(radius: Array, rings: int, grading: float = GRADING) -> Array:
    """Return the nodes between the void and the boundary of the square.

    Args:
        radius: of the void at `ray_angles`, (rays,).
        rings: number of nodes on each ray.
        grading: exponent by which nodes are drawn to the void.

    Returns:
        (rings, rays, 2), the void first.
    """
    angles = ray_angles(len(radius))
    share = np.linspace(0, 1, rings)[:, None] ** grading
    distance = radius + share * (square_radius(angles) - radius)
    return CENTER + distance[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def second_piola(c: Array) -> tuple[Array, Array]:
    """Return stress and tangent of the material.

    Args:
        c: right Cauchy-Green tensors C in the plane, (..., 2, 2) symmetric.

    Returns:
        S (..., 2, 2), and dS / dC (..., 2, 2, 2, 2), symmetric in its last two axes.
    """
    inverse, unit = np.linalg.inv(c), np.eye(2)
    g = np.linalg.det(c)[..., None, None]
    trace = np.trace(c, axis1=-2, axis2=-1)[..., None, None]
    s = 2 * C1 * (unit - inverse / g) + 2 * C2 * (g * inverse + unit / g - trace / g * inverse)

    dyad = lambda a, b: np.einsum("...ij,...kl->...ijkl", a, b)  # noqa: E731
    g4, trace4 = g[..., None, None], trace[..., None, None]
    units = np.broadcast_to(unit, c.shape)
    d_inverse = -0.5 * (
        np.einsum("...ik,...jl->...ijkl", inverse, inverse) + np.einsum("...il,...jk->...ijkl", inverse, inverse)
    )
    both = dyad(inverse, inverse)
    d_first = -(d_inverse - both) / g4
    d_second = g4 * (both + d_inverse) - dyad(units, inverse) / g4
    d_second -= dyad(inverse, units) / g4 + trace4 / g4 * (d_inverse - both)
    return s, 2 * C1 * d_first + 2 * C2 * d_second


def solve_elasticity(nodes: Array, traction: tuple[float, float] = TRACTION, tolerance: float = 1e-10) -> Array:
    """Solve for the displacement of a mesh of rings.

    Args:
        nodes: (rings, rays, 2), from `ring_mesh`.
        traction: force per length at the top.
        tolerance: largest change of a displacement at which to stop, relative to the largest.

    Returns:
        (rings, rays, 2).

    Raises:
        RuntimeError: Newton's method does not converge.
    """
    cells, gradient, weights = _elements(nodes)
    flat, number = nodes.reshape(-1, 2), nodes.shape[0] * nodes.shape[1]
    load = np.zeros((number, 2))
    boundary = np.arange(number).reshape(nodes.shape[:2])[-1]
    for a, b in zip(boundary, np.roll(boundary, -1), strict=True):
        if min(flat[a, 1], flat[b, 1]) > 1 - 1e-9:
            load[[a, b]] += np.asarray(traction) * abs(flat[a, 0] - flat[b, 0]) / 2
    free = np.flatnonzero(np.repeat(flat[:, 1] > 1e-9, 2))
    dofs = (2 * cells[..., None] + np.arange(2)).reshape(len(cells), -1)
    u = np.zeros((number, 2))
    for _ in range(MAX_ITERATIONS):
        f = np.eye(2) + np.einsum("eid,epic->epdc", u[cells], gradient)
        s, tangent = second_piola(f.swapaxes(-1, -2) @ f)
        # Variation of E = (C - 1) / 2 with the displacement d of node i.
        variation = np.einsum("epdk,epil->epidkl", f, gradient)
        variation = (variation + variation.swapaxes(-1, -2)) / 2
        force = np.einsum("ep,epkl,epidkl->eid", weights, s, variation, optimize=True)
        material = np.einsum(
            "ep,epidkl,epklmn,epjcmn->eidjc", weights, variation, 2 * tangent, variation, optimize=True
        )
        geometric = np.einsum("ep,epik,epkl,epjl->eij", weights, gradient, s, gradient, optimize=True)
        stiffness = material + np.einsum("eij,dc->eidjc", geometric, np.eye(2))
        residual = -load.ravel()
        np.add.at(residual, dofs.reshape(*cells.shape, 2), force)
        size = dofs.shape[1]
        rows, columns = np.repeat(dofs, size, axis=1).ravel(), np.tile(dofs, (1, size)).ravel()
        matrix = csc_matrix((stiffness.ravel(), (rows, columns)), shape=(2 * number, 2 * number))[free][:, free]
        step = np.zeros(2 * number)
        step[free] = splu(matrix, permc_spec="MMD_AT_PLUS_A").solve(residual[free])
        u = u - step.reshape(-1, 2)
        if abs(step).max() <= tolerance * abs(u).max():
            return u.reshape(nodes.shape)
    raise RuntimeError(f"the unit cell has not converged to {tolerance:g}")


def von_mises(nodes: Array, u: Array) -> Array:
    """Return the von Mises stress at the nodes.

    The true (Cauchy) stress in the Gauss points is extrapolated to the corners of each element, and averaged over the
    elements of a node.

    Args:
        nodes: (rings, rays, 2).
        u: displacements, of the same shape.

    Returns:
        (rings, rays).
    """
    cells, gradient, _ = _elements(nodes)
    f = np.eye(2) + np.einsum("eid,epic->epdc", u.reshape(-1, 2)[cells], gradient)
    s, _ = second_piola(f.swapaxes(-1, -2) @ f)
    stress = f @ s @ f.swapaxes(-1, -2)  # the volume does not change
    # Bilinear through the Gauss points, at the corners.
    outer = np.array([[1 + np.sqrt(3), 1 - np.sqrt(3)], [1 - np.sqrt(3), 1 + np.sqrt(3)]]) / 2
    corners = np.einsum("ip,epkl->eikl", np.kron(outer, outer), stress)
    total, count = np.zeros((len(nodes.reshape(-1, 2)), 2, 2)), np.zeros(len(nodes.reshape(-1, 2)))
    np.add.at(total, cells, corners)
    np.add.at(count, cells, 1)
    xx, yy, xy = (total[:, i, j] / count for i, j in ((0, 0), (1, 1), (0, 1)))
    return np.sqrt(xx**2 + yy**2 - xx * yy + 3 * xy**2).reshape(nodes.shape[:2])


def _elements(nodes: Array) -> tuple[Array, Array, Array]:
    """Return the nodes of each element (E, 4), gradients (E, points, 4, 2) and weights (E, points) at 2 x 2 points."""
    rings, rays = nodes.shape[:2]
    numbers = np.arange(rings * rays).reshape(rings, rays)
    ahead = np.roll(numbers, -1, axis=1)
    cells = np.stack([numbers[:-1], ahead[:-1], numbers[1:], ahead[1:]], axis=-1).reshape(-1, 4)
    points = np.array([-1, 1]) / np.sqrt(3)
    value = np.stack([(1 - points) / 2, (1 + points) / 2], axis=-1)
    slope = np.broadcast_to(np.array([-0.5, 0.5]), (2, 2))
    local = np.stack([np.kron(slope, value), np.kron(value, slope)], axis=-1)  # (points, 4, 2): ring first
    jacobian = np.einsum("pic,eid->epdc", local, nodes.reshape(-1, 2)[cells])
    gradient = np.einsum("pic,epcd->epid", local, np.linalg.inv(jacobian))
    return cells, gradient, abs(np.linalg.det(jacobian))


def interpolate_rings(field: Array, radius: Array, points: Array, grading: float = GRADING) -> Array:
    """Return a field on a mesh of rings at other points, bilinear in angle and ring; 0 in the void.

    Args:
        field: (rings, rays), on the nodes of a `ring_mesh` with this grading.
        radius: of the void at the angles of the points, (N,).
        points: (N, 2) in the square.
        grading: of the mesh.

    Returns:
        (N,).
    """
    rings, rays = field.shape
    x, y = (points - CENTER).T
    angle, distance = np.arctan2(y, x), np.hypot(x, y)
    share = np.clip((distance - radius) / (square_radius(angle) - radius), 0, 1) ** (1 / grading)
    ring = np.minimum((share * (rings - 1)).astype(int), rings - 2)
    outward = share * (rings - 1) - ring
    position = (angle % (2 * np.pi)) * rays / (2 * np.pi) - 0.5
    left = np.floor(position).astype(int)
    across = position - left
    inner, outer = (
        (1 - across) * field[row, left % rays] + across * field[row, (left + 1) % rays] for row in (ring, ring + 1)
    )
    return np.where(distance >= radius, (1 - outward) * inner + outward * outer, 0.0)


def elasticity_samples(
    generators: list[np.random.Generator], rays: int, rings: int, kept_rings: int, grid_size: int
) -> dict[str, Array]:
    """Draw voids and solve for the stress, at points in random order and on a grid.

    Args:
        generators: of the samples, n of them.
        rays: of the mesh.
        rings: of the mesh.
        kept_rings: of which every so many-th is kept, this many: the points are rays * kept_rings.
        grid_size: points of the grid along each axis.

    Returns:
        `positions` (n, N, 2), `code` (n, 42) radii of the void, `stress` (n, N, 1), `grid_mask` and `grid_stress`
        (n, grid_size, grid_size, 1), float32; on the grid the first axis is x.
    """
    drawn = [_draw(generator, rays, rings, kept_rings, grid_size) for generator in generators]
    return {name: np.stack([sample[name] for sample in drawn]).astype(np.float32) for name in drawn[0]}


def _draw(generator: np.random.Generator, rays: int, rings: int, kept_rings: int, grid_size: int) -> dict[str, Array]:
    coefficients = generator.standard_normal(2 * MODES)
    nodes = ring_mesh(void_radius(coefficients, ray_angles(rays)), rings)
    stress = von_mises(nodes, solve_elasticity(nodes))
    every = (rings - 1) // (kept_rings - 1)
    # In the order of the mesh, a point's number would tell where it is.
    order = generator.permutation(rays * kept_rings)
    axis = np.linspace(0, 1, grid_size)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    x, y = (grid - CENTER).T
    radius = void_radius(coefficients, np.arctan2(y, x))
    shape = (grid_size, grid_size, 1)
    return {
        "positions": nodes[::every].reshape(-1, 2)[order],
        "code": void_radius(coefficients, np.linspace(0, 2 * np.pi, CODE_POINTS)),
        "stress": stress[::every].reshape(-1, 1)[order],
        "grid_mask": (np.hypot(x, y) >= radius).reshape(shape),
        "grid_stress": interpolate_rings(stress, radius, grid).reshape(shape),
    }
