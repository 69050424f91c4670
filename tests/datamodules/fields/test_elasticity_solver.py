import numpy as np
import pytest

from datamodules.fields.elasticity_solver import (
    C1,
    C2,
    elasticity_samples,
    interpolate_rings,
    ray_angles,
    ring_mesh,
    second_piola,
    solve_elasticity,
    square_radius,
    void_radius,
    von_mises,
)

COEFFICIENTS = np.random.default_rng(1).standard_normal(10)
MU = 2 * (C1 + C2)


def deformation():
    a = np.eye(2) + 0.2 * np.random.default_rng(0).standard_normal((2, 2))
    return a.T @ a


def energy(c):
    g, trace = np.linalg.det(c), np.trace(c)
    return C1 * (trace + 1 / g - 3) + C2 * (g + trace / g - 3)


def test_stress_is_the_derivative_of_the_energy():
    c, h = deformation(), 1e-6
    stress, tangent = second_piola(c)
    change = np.array([[0.3, 0.7], [0.7, -0.4]])
    slope = (energy(c + h * change) - energy(c - h * change)) / (2 * h)
    assert 2 * slope == pytest.approx((stress * change).sum(), rel=1e-7)
    slope = (second_piola(c + h * change)[0] - second_piola(c - h * change)[0]) / (2 * h)
    np.testing.assert_allclose(slope, np.einsum("ijkl,kl->ij", tangent, change), rtol=1e-6)
    np.testing.assert_allclose(second_piola(np.eye(2))[0], 0, atol=1e-9)


def test_small_strains_are_linear_plane_stress():
    strain = 1e-7 * np.array([[1.0, 0.3], [0.3, -0.2]])
    stress, _ = second_piola(np.eye(2) + 2 * strain)
    np.testing.assert_allclose(stress, 2 * MU * (strain + np.trace(strain) * np.eye(2)), rtol=1e-5)


def test_meshes():
    angles = ray_angles(20)
    mesh = ring_mesh(np.full(20, 0.3), 5)
    np.testing.assert_allclose(np.hypot(*(mesh[0] - 0.5).T), 0.3)
    np.testing.assert_allclose(abs(mesh[-1] - 0.5).max(-1), 0.5)
    corners = [0.0, 1.0]
    for corner in ((a, b) for a in corners for b in corners):
        assert abs(mesh[-1] - corner).max(-1).min() < 1e-12
    assert square_radius(angles).max() == pytest.approx(np.sqrt(0.5))


def test_a_circular_hole_concentrates_the_stress_threefold():
    nodes = ring_mesh(np.full(108, 0.02), 65, grading=2.5)
    stress = von_mises(nodes, solve_elasticity(nodes)) / 100
    assert stress[0].max() == pytest.approx(3, rel=0.04)
    # At the sides of the hole, where the load passes, not at its top.
    assert abs(np.sin(ray_angles(108)[stress[0].argmax()])) < 0.1


def test_forces_balance():
    nodes = ring_mesh(void_radius(COEFFICIENTS, ray_angles(60)), 17)
    u = solve_elasticity(nodes)
    bottom = nodes[..., 1] < 1e-9
    assert bottom.sum() > 5 and not u[bottom].any() and (u[..., 1] > -1e-5).all()
    doubled = solve_elasticity(nodes, (0.0, 200.0))
    np.testing.assert_allclose(doubled, 2 * u, atol=5e-3 * abs(u).max())  # nearly linear at this load
    assert abs(doubled - 2 * u).max() > 1e-6 * abs(u).max()


def test_refinement_converges():
    fields = {}
    for rays, rings in ((12, 4), (36, 10), (108, 28)):
        nodes = ring_mesh(void_radius(0.5 * COEFFICIENTS, ray_angles(rays)), rings)
        fields[rays] = solve_elasticity(nodes)
    # Every third ray of a mesh, from the second on, is a ray of the next coarser one.
    medium, fine = fields[36][::3, 1::3], fields[108][::9, 4::9]
    errors = [np.linalg.norm(field - fine) / np.linalg.norm(fine) for field in (fields[12], medium)]
    assert errors[1] < 0.06 and errors[1] < errors[0] / 4


def test_mirrored_voids_have_mirrored_stresses():
    k = np.arange(1, 6)
    cosines, sines = np.split(COEFFICIENTS, 2)
    mirrored = np.concatenate([cosines * (-1.0) ** k, sines * -((-1.0) ** k)])  # angle to pi - angle
    stresses = []
    for coefficients in (COEFFICIENTS, mirrored):
        nodes = ring_mesh(void_radius(coefficients, ray_angles(36)), 9)
        stresses.append(von_mises(nodes, solve_elasticity(nodes)))
    order = (18 - 1 - np.arange(36)) % 36
    np.testing.assert_allclose(stresses[1][:, order], stresses[0], rtol=1e-7)


def test_interpolation_is_exact_at_nodes_and_for_fields_of_the_angle():
    radius = void_radius(COEFFICIENTS, ray_angles(60))
    nodes = ring_mesh(radius, 9)
    field = np.random.default_rng(0).standard_normal((9, 60))
    inner = nodes[1:-1].reshape(-1, 2)
    values = interpolate_rings(field, np.tile(radius, 7), inner)
    np.testing.assert_allclose(values, field[1:-1].ravel(), atol=1e-9)
    centre = interpolate_rings(field, np.full(1, 0.3), np.array([[0.5, 0.6]]))
    assert centre.tolist() == [0]


def test_samples():
    drawn = elasticity_samples([np.random.default_rng(seed) for seed in (0, 1)], 36, 9, 3, 21)
    shapes = {name: entry.shape for name, entry in drawn.items()}
    assert shapes == {
        "positions": (2, 108, 2),
        "code": (2, 42),
        "stress": (2, 108, 1),
        "grid_mask": (2, 21, 21, 1),
        "grid_stress": (2, 21, 21, 1),
    }
    assert ((drawn["code"] > 0.2) & (drawn["code"] < 0.4)).all()
    np.testing.assert_allclose(drawn["code"][:, 0], drawn["code"][:, -1], rtol=1e-6)
    void = drawn["grid_mask"] == 0
    assert 0.1 < void.mean() < 0.5 and not drawn["grid_stress"][void].any() and (drawn["grid_stress"] >= 0).all()
    assert 150 < drawn["grid_stress"][~void].mean() < 220
    # In random order: neighbours in number are no neighbours in space.
    steps = np.hypot(*np.diff(drawn["positions"][0], axis=0).T)
    assert steps.mean() > 0.3
