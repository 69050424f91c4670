"""Steady incompressible flow through a curved pipe: (u . grad) u - nu Laplacian u + grad p = 0, div u = 0.

Taylor-Hood elements (velocities biquadratic, pressure bilinear) on a structured mesh, Newton's method with sparse LU.
A parabola of height 1 at the inlet, no slip at the walls, no traction nu du/dn - p n at the outlet.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from datamodules.fields.arrays import Array

VISCOSITY = 0.005
LENGTH, WIDTH = 10.0, 1.0
KNOTS = 5  # of the centreline
MAX_HEIGHT, MAX_SLOPE = 2.0, 1.0  # of the centreline at its knots
MAX_ITERATIONS = 20
MAX_DRAWS = 10
MAX_CHANGE = 100.0  # of a velocity in a step; beyond, Newton's method is lost
CONTINUATION = (16, 8, 4, 2, 1)  # viscosities, as multiples of the one that is wanted


class Elements(NamedTuple):
    """The reference element at its 3 x 3 Gauss points, and the nodes of all elements.

    Attributes:
        velocity: biquadratic shape functions at the points (9 points, 9 functions).
        gradient: their derivatives (9 points, 9 functions, 2).
        pressure: bilinear shape functions (9 points, 4 functions).
        weights: of the points (9,).
        nodes: velocity nodes of each element (E, 9).
        corners: pressure nodes of each element (E, 4).
    """

    velocity: Array
    gradient: Array
    pressure: Array
    weights: Array
    nodes: Array
    corners: Array


@lru_cache(maxsize=4)
def elements_of(count: int) -> Elements:
    """Return the elements of a mesh of count x count of them; nodes are in row-major order, along the pipe first."""
    points, weights = np.polynomial.legendre.leggauss(3)
    one = np.stack([points * (points - 1) / 2, 1 - points**2, points * (points + 1) / 2], -1)
    slope = np.stack([points - 0.5, -2 * points, points + 0.5], -1)
    linear = np.stack([(1 - points) / 2, (1 + points) / 2], -1)
    gradient = np.stack([np.kron(slope, one), np.kron(one, slope)], axis=-1)
    first = np.arange(count)
    size = 2 * count + 1
    base = (2 * first[:, None] * size + 2 * first).reshape(-1, 1)
    nodes = base + (np.arange(3)[:, None] * size + np.arange(3)).reshape(1, -1)
    base = (first[:, None] * (count + 1) + first).reshape(-1, 1)
    corners = base + (np.arange(2)[:, None] * (count + 1) + np.arange(2)).reshape(1, -1)
    return Elements(np.kron(one, one), gradient, np.kron(linear, linear), np.kron(weights, weights), nodes, corners)


def pipe_mesh(heights: Array, slopes: Array, count: int) -> tuple[Array, Array]:
    """Return the nodes of a pipe whose centreline is a piecewise cubic through equispaced knots.

    Args:
        heights: of the centreline at its knots.
        slopes: of the centreline there.
        count: elements along each axis.

    Returns:
        x and y, (2 count + 1, 2 count + 1) each; the first axis goes along the pipe, the second across, upwards.
    """
    x = np.linspace(0, LENGTH, 2 * count + 1)
    centre = CubicHermiteSpline(np.linspace(0, LENGTH, len(heights)), heights, slopes)(x)
    across = np.linspace(-WIDTH / 2, WIDTH / 2, 2 * count + 1)
    return np.broadcast_to(x[:, None], (len(x), len(x))).copy(), centre[:, None] + across


def solve_pipe(x: Array, y: Array, viscosity: float = VISCOSITY, tolerance: float = 1e-10) -> tuple[Array, Array]:
    """Solve for velocity and pressure.

    Where Newton's method does not find its way from the first guess, it starts from flows of higher viscosity.

    Args:
        x: of the nodes, (2 n + 1, 2 n + 1), the first axis along the pipe.
        y: of the nodes, of the same shape.
        viscosity: nu, > 0.
        tolerance: largest change of a velocity at which to stop.

    Returns:
        The velocity (2 n + 1, 2 n + 1, 2), and the pressure (n + 1, n + 1) at the corners of the elements.

    Raises:
        RuntimeError: Newton's method does not converge.
    """
    flow = _Flow(x, y)
    try:
        return flow.newton(*flow.start(), viscosity, tolerance)
    except RuntimeError:
        state = flow.start()
        for factor in CONTINUATION:
            state = flow.newton(*state, factor * viscosity, tolerance)
        return state


class _Flow:
    """The discrete equations on one mesh."""

    def __init__(self, x: Array, y: Array) -> None:
        self.coordinates = np.stack([x, y], axis=-1)
        self.size = x.shape[0]
        self.elements = elements_of(self.size // 2)
        self.number, self.corners = self.size**2, (self.size // 2 + 1) ** 2
        jacobian = np.einsum("pic,eid->epdc", self.elements.gradient, self._local(self.coordinates))  # dx_d / dxi_c
        inverse = np.linalg.inv(jacobian)
        self.gradient = np.einsum("pic,epcd->epid", self.elements.gradient, inverse, optimize=True)
        self.weights = np.linalg.det(jacobian) * self.elements.weights
        weighted = self.weights[..., None, None] * self.gradient
        self.stiffness = np.einsum("epid,epjd->eij", weighted, self.gradient, optimize=True)
        self.divergence = -np.einsum("pk,epid->edki", self.elements.pressure, weighted, optimize=True)
        fixed = np.zeros((2, self.size, self.size), dtype=bool)
        fixed[:, 0], fixed[:, :, 0], fixed[:, :, -1] = True, True, True
        self.free = np.flatnonzero(~np.append(fixed.ravel(), np.zeros(self.corners, dtype=bool)))
        self.u_rows = [self.elements.nodes + self.number * component for component in range(2)]
        self.p_rows = self.elements.corners + 2 * self.number

    def _local(self, nodal: Array) -> Array:
        return nodal.reshape(self.number, 2)[self.elements.nodes]

    def start(self) -> tuple[Array, Array]:
        """Return the parabola, carried along by the centreline: free of divergence, right at inlet and walls."""
        s = np.linspace(-WIDTH / 2, WIDTH / 2, self.size)
        along = np.broadcast_to(1 - 4 * s**2 / WIDTH**2, (self.size, self.size))
        centre = self.coordinates[:, self.size // 2]
        slope = np.gradient(centre[:, 1], centre[:, 0])
        velocity = np.stack([along, slope[:, None] * along], axis=-1)
        velocity[0, :, 1] = 0
        return velocity, np.zeros((self.size // 2 + 1, self.size // 2 + 1))

    def newton(self, velocity: Array, pressure: Array, viscosity: float, tolerance: float) -> tuple[Array, Array]:
        """Return velocity and pressure from a start that has the boundary values."""
        for _ in range(MAX_ITERATIONS):
            step = np.zeros(2 * self.number + self.corners)
            blocks, residual = self._linearize(velocity, pressure, viscosity)
            step[self.free] = self._solve(blocks, residual)
            if not np.isfinite(step).all():
                break
            velocity = velocity - step[: 2 * self.number].reshape(2, self.size, self.size).transpose(1, 2, 0)
            pressure = pressure - step[2 * self.number :].reshape(pressure.shape)
            change = abs(step[: 2 * self.number]).max()
            if change < tolerance:
                return velocity, pressure
            if change > MAX_CHANGE:
                break
        raise RuntimeError(f"the flow through the pipe has not converged to {tolerance:g}")

    def _linearize(
        self, velocity: Array, pressure: Array, viscosity: float
    ) -> tuple[list[tuple[Array, Array, Array]], Array]:
        shapes, divergence = self.elements.velocity, self.divergence
        u, p = self._local(velocity), pressure.ravel()[self.elements.corners]
        at_points = shapes @ u  # (E, points, 2)
        slopes = np.einsum("epic,eid->epdc", self.gradient, u, optimize=True)  # du_d / dx_c
        along = np.einsum("epjc,epc->epj", self.gradient, at_points)
        tested = (self.weights[..., None] * shapes).transpose(0, 2, 1)  # (E, functions, points)
        momentum = viscosity * self.stiffness + tested @ along
        residual = np.zeros(2 * self.number + self.corners)
        blocks = []
        for d in range(2):
            force = (momentum @ u[..., d, None] + divergence[:, d].transpose(0, 2, 1) @ p[..., None])[..., 0]
            np.add.at(residual, self.u_rows[d], force)
            np.add.at(residual, self.p_rows, (divergence[:, d] @ u[..., d, None])[..., 0])
            for c in range(2):
                reaction = tested @ (slopes[:, :, d, c, None] * shapes)
                blocks.append((self.u_rows[d], self.u_rows[c], reaction + momentum if c == d else reaction))
            blocks.append((self.p_rows, self.u_rows[d], divergence[:, d]))
            blocks.append((self.u_rows[d], self.p_rows, divergence[:, d].transpose(0, 2, 1)))
        return blocks, residual

    def _solve(self, blocks: list[tuple[Array, Array, Array]], residual: Array) -> Array:
        rows = np.concatenate([np.repeat(r, c.shape[1], axis=1).ravel() for r, c, _ in blocks])
        columns = np.concatenate([np.tile(c, (1, r.shape[1])).ravel() for r, c, _ in blocks])
        values = np.concatenate([block.ravel() for _, _, block in blocks])
        position = np.full(len(residual), -1)
        position[self.free] = np.arange(len(self.free))
        rows, columns = position[rows], position[columns]
        kept = (rows >= 0) & (columns >= 0)
        shape = (len(self.free), len(self.free))
        matrix = csc_matrix((values[kept], (rows[kept], columns[kept])), shape=shape)
        # The pattern is symmetric; pivots are taken where they hardly add to it, and Newton's method forgives the rest.
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01).solve(residual[self.free])


def pipe_samples(generators: list[np.random.Generator], resolution: int) -> dict[str, Array]:
    """Draw centrelines and solve for the velocity along x; where no steady flow is found, another one is drawn.

    Args:
        generators: of the samples, n of them.
        resolution: elements along each axis; the nodes are 2 resolution + 1.

    Returns:
        `input` x and y (n, s, s, 2), and `target` the velocity along x (n, s, s, 1), float32.
    """
    meshes, velocities = [], []
    for generator in generators:
        mesh, velocity = _draw(generator, resolution)
        meshes.append(np.stack(mesh, axis=-1))
        velocities.append(velocity[..., :1])
    return {"input": np.stack(meshes).astype(np.float32), "target": np.stack(velocities).astype(np.float32)}


def _draw(generator: np.random.Generator, resolution: int) -> tuple[tuple[Array, Array], Array]:
    for _ in range(MAX_DRAWS):
        heights = generator.uniform(-MAX_HEIGHT, MAX_HEIGHT, KNOTS)
        slopes = generator.uniform(-MAX_SLOPE, MAX_SLOPE, KNOTS)
        mesh = pipe_mesh(heights, slopes, resolution)
        try:
            return mesh, solve_pipe(*mesh)[0]
        except RuntimeError:
            continue
    raise RuntimeError(
        f"none of {MAX_DRAWS} pipes has a flow on {resolution} x {resolution} elements; give more of them"
    )
