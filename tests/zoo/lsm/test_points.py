import math

import pytest
import torch

from tests.tolerances import tolerance
from zoo.lsm import PointLSM
from zoo.lsm.deformation import Deformation
from zoo.lsm.fourier import SpectralProjection, modes_to_points, points_to_modes, wave_numbers

CLOSE = tolerance(torch.float64)


def uniform(size):
    """The points (i, j) / size of a periodic grid, (1, size^2, 2)."""
    axis = torch.arange(size, dtype=torch.float64) / size
    return torch.cartesian_prod(axis, axis)[None]


def network_of(**arguments):
    torch.manual_seed(0)
    return PointLSM(**{"code_channels": 5, "width": 8, "modes": 4, "latent_size": 32, **arguments}).double().eval()


def test_modes_of_a_uniform_grid():
    u = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    y = points_to_modes(u.flatten(2), uniform(16), modes=5)
    spectrum = torch.fft.fft2(u)[..., :5]
    torch.testing.assert_close(y, torch.cat([spectrum[:, :, :5], spectrum[:, :, -5:]], dim=2), rtol=1e-12, atol=1e-12)


def test_exact_values_on_a_uniform_grid():
    u = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    spectrum = torch.fft.rfft2(u)
    spectrum[:, :, 5:-5] = 0
    spectrum[..., 5:] = 0
    y = torch.cat([spectrum[:, :, :5, :5], spectrum[:, :, -5:, :5]], dim=2)
    values = modes_to_points(y, uniform(16))
    expected = 256 * torch.fft.irfft2(spectrum, s=(16, 16)).flatten(2)
    torch.testing.assert_close(values, expected, rtol=1e-11, atol=1e-11)
    assert (modes_to_points(y, uniform(16), "official") - expected).norm() > 0.3 * expected.norm()


def test_official_values_have_mirrored_rows():
    modes, xi = 4, torch.rand(2, 9, 2, dtype=torch.float64)
    y = torch.randn(2, 3, 2 * modes, modes, dtype=torch.complex128)
    expected = torch.zeros(2, 3, 9, dtype=torch.complex128)
    phase = lambda k1, k2: torch.exp(2j * math.pi * (k1 * xi[..., 0] + k2 * xi[..., 1]))[:, None]  # noqa: E731
    for row, k1 in enumerate(wave_numbers(modes).tolist()):
        for k2 in range(modes):
            expected += y[:, :, row, k2, None] * phase(k1, k2)
            if k2:
                expected += y[:, :, row, k2, None].conj() * phase(-(k1 + 1), -k2)
    torch.testing.assert_close(modes_to_points(y, xi, "official"), expected.real, rtol=1e-12, atol=1e-12)


def test_transforms_are_adjoint_and_differentiable():
    xi = torch.rand(2, 7, 2, dtype=torch.float64, requires_grad=True)
    u = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 3, 6, 3, dtype=torch.complex128, requires_grad=True)
    weights = torch.full((3,), 2.0, dtype=torch.float64)
    weights[0] = 1
    left = (points_to_modes(u, xi, 3).conj() * y * weights).sum().real
    torch.testing.assert_close(left, (u * modes_to_points(y, xi)).sum(), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda u, xi: torch.view_as_real(points_to_modes(u, xi, 3)), (u, xi))
    for hermitian in ("exact", "official"):
        assert torch.autograd.gradcheck(lambda y, xi, h=hermitian: modes_to_points(y, xi, h), (y, xi))


def test_chunks_change_nothing(monkeypatch):
    xi, u = torch.rand(5, 7, 2, dtype=torch.float64), torch.randn(5, 3, 7, dtype=torch.float64)
    whole = points_to_modes(u, xi, 3)
    monkeypatch.setattr("zoo.lsm.fourier.CHUNK", 1)
    torch.testing.assert_close(points_to_modes(u, xi, 3), whole, **CLOSE)


def test_projection_weights_are_real_pairs():
    projection = SpectralProjection(4, 3)
    assert projection.weights.shape == (4, 4, 6, 3, 2) and not projection.weights.is_complex()
    assert projection.weights.min() >= 0 and projection.weights.max() < 1 / 16
    assert projection.double().to_grid(torch.randn(1, 4, 9).double(), torch.rand(1, 9, 2).double(), 16).dtype == (
        torch.float64
    )


def test_deformation_without_a_last_layer_is_the_identity():
    deformation, x = Deformation(5).double(), torch.rand(2, 9, 2, dtype=torch.float64)
    torch.nn.init.zeros_(deformation.output.weight), torch.nn.init.zeros_(deformation.output.bias)
    assert torch.equal(deformation(x, torch.rand(2, 5).double()), x)


def test_a_network_is_the_same_in_single_and_double_precision():
    deformation, x = Deformation(), torch.rand(2, 9, 2)
    single = deformation(x)
    torch.testing.assert_close(deformation.double()(x.double()).float(), single, **tolerance(torch.float32))


def test_permuting_points_permutes_the_output():
    network, x, code = network_of(), torch.rand(2, 40, 2, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    order = torch.randperm(40)
    torch.testing.assert_close(network(x[:, order], code), network(x, code)[:, order], **CLOSE)


def test_queries_are_independent():
    network, x, code = network_of(), torch.rand(2, 40, 2, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    queries = torch.rand(2, 6, 2, dtype=torch.float64)
    together = network(x, code, queries=queries)
    torch.testing.assert_close(network(x, code, queries=queries[:, 2:3]), together[:, 2:3], **CLOSE)
    torch.testing.assert_close(network(x, code, queries=x), network(x, code), **CLOSE)


def test_a_point_given_twice_counts_twice():
    network, x, code = network_of(), torch.rand(2, 40, 2, dtype=torch.float64), torch.rand(2, 5, dtype=torch.float64)
    twice = torch.cat([x, x[:, :1]], dim=1)
    assert (network(twice, code)[:, :40] - network(x, code)).abs().max() > 1e-9


def test_every_parameter_gets_a_gradient():
    for code_channels in (0, 5):
        network = network_of(code_channels=code_channels).train()
        code = torch.rand(2, 5, dtype=torch.float64) if code_channels else None
        network(torch.rand(2, 40, 2, dtype=torch.float64), code).square().sum().backward()
        assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_features_of_their_own():
    network = network_of(in_channels=3, code_channels=0)
    x = torch.rand(2, 40, 2, dtype=torch.float64)
    assert network(x, features=torch.randn(2, 40, 3, dtype=torch.float64)).shape == (2, 40, 1)
    with pytest.raises(ValueError, match=r"features of shape \(2, 40, 2\) is not allowed; give \(B, points, 3\)"):
        network(x)


def test_half_precision_is_kept_out_of_the_transforms():
    network, x = network_of(code_channels=0).float(), torch.rand(2, 40, 2)
    expected = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(x)
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(("hermitian", "code_channels"), [("exact", 0), ("official", 5)])
def test_exports_and_compiles(hermitian, code_channels):
    network = network_of(hermitian=hermitian, code_channels=code_channels)
    inputs = [torch.rand(2, 40, 2, dtype=torch.float64)]
    inputs += [torch.rand(2, 5, dtype=torch.float64)] if code_channels else []
    expected = network(*inputs)
    if code_channels:
        run = torch.export.export(network, tuple(inputs)).module()
    else:
        run = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(run(*inputs), expected, **CLOSE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("out_channels", 0),
        ("code_channels", -1),
        ("width", 9),
        ("modes", 17),
        ("latent_size", 40),
        ("hermitian", "wrong"),
        ("norm", "layer"),
    ],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        network_of(**{name: value})


def test_bad_codes_are_refused():
    x = torch.rand(2, 40, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"code of shape None is not allowed; give \(B, 5\)"):
        network_of()(x)
    with pytest.raises(ValueError, match=r"code of shape \(2, 5\) is not allowed; give None"):
        network_of(code_channels=0)(x, torch.rand(2, 5).double())
