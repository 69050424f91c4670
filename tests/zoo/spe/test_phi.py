import pytest
import torch

from tests.reference.spe_loop import LoopedMLPPhi, looped_attention, looped_deepsets
from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import batch_of, random_graph
from zoo.spe.phi import PHIS, GroupedLinear, make_phi

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def spectrum():
    batch = batch_of(random_graph(9, 3, 0), random_graph(6, 3, 1))
    return batch.eigvals, torch.arange(9) < batch.num_eigs[:, None]


def test_grouped_linear_is_many_linears():
    grouped, x = GroupedLinear(3, 4, 5), torch.randn(3, 7, 4)
    for group in range(3):
        expected = torch.nn.functional.linear(x[group], grouped.weight[group].T, grouped.bias[group, 0])
        torch.testing.assert_close(grouped(x)[group], expected, **tolerance(torch.float32))
    assert grouped.weight.abs().max() <= 4**-0.5


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mlp_equals_separate_networks(batch_norm):
    phi, (eigvals, valid) = make_phi("mlp", 4, 3, 8, batch_norm).double().eval(), spectrum()
    expected = LoopedMLPPhi(phi).eval()(eigvals) * valid[..., None]
    torch.testing.assert_close(phi(eigvals, valid), expected, **EXACT)


def test_batch_statistics_of_mlp_leave_padding_out():
    phi, (eigvals, valid) = make_phi("mlp", 4, 3, 8).double(), spectrum()
    looped = LoopedMLPPhi(phi)
    torch.testing.assert_close(phi(eigvals, valid)[valid], looped(eigvals[valid]), **EXACT)
    assert not torch.allclose(phi(eigvals, valid)[valid], looped(eigvals)[valid], **EXACT)


def test_batch_statistics_of_mlp_count_padding_on_request():
    phi, (eigvals, valid) = make_phi("mlp", 4, 3, 8, official_padding=True).double(), spectrum()
    looped = LoopedMLPPhi(phi)
    torch.testing.assert_close(phi(eigvals, valid), looped(eigvals), **EXACT)
    phi.eval(), looped.eval()
    torch.testing.assert_close(phi(eigvals, valid)[valid], looped(eigvals)[valid], **EXACT)


@pytest.mark.parametrize("heads", [1, 4])
def test_bare_transformer_is_torchs_attention(heads):
    phi, (eigvals, valid) = make_phi("bare_transformer", 3, 2, 8, heads=heads).double(), spectrum()
    torch.testing.assert_close(phi(eigvals, valid), looped_attention(phi, eigvals), **EXACT)


@pytest.mark.parametrize("final_activation", [False, True])
@pytest.mark.parametrize("name", ["deepsets", "masked_deepsets"])
def test_deepsets_equal_separate_networks(name, final_activation):
    phi, (eigvals, valid) = make_phi(name, 4, 3, 8, final_activation=final_activation).double(), spectrum()
    torch.testing.assert_close(phi(eigvals, valid), looped_deepsets(phi, eigvals, valid), **EXACT)


def test_final_relu_can_kill_a_deep_set():
    eigvals, valid = spectrum()
    dead = {}
    for final_activation in (True, False):
        torch.manual_seed(0)
        phi = make_phi("masked_deepsets", 100, 3, 8, final_activation=final_activation).double()
        dead[final_activation] = int((phi(eigvals, valid)[valid] == 0).all(dim=0).sum())
    assert dead[True] > 20
    assert dead[False] == 0


@pytest.mark.parametrize("name", PHIS)
def test_equivariant_to_permutations_of_eigenvalues(name):
    phi, (eigvals, valid) = make_phi(name, 4, 2, 8, heads=2).double().eval(), spectrum()
    order = torch.randperm(eigvals.size(1))
    moved = phi(eigvals[:, order], valid[:, order])
    torch.testing.assert_close(moved[valid[:, order]], phi(eigvals, valid)[:, order][valid[:, order]], **EXACT)


@pytest.mark.parametrize("name", ["masked_deepsets", "transformer", "bare_transformer"])
def test_sees_the_whole_spectrum(name):
    phi, (eigvals, valid) = make_phi(name, 4, 2, 8).double(), spectrum()
    changed = eigvals.clone()
    changed[0, 8] += 0.5
    assert ((phi(changed, valid) - phi(eigvals, valid))[0, 0].abs() > 1e-6).any()


def test_heat_polynomial_and_constant_start_as_documented():
    eigvals, valid = spectrum()
    times = torch.logspace(-1, 1, 5, dtype=torch.float64)
    heat = make_phi("heat", 5)(eigvals, valid)
    torch.testing.assert_close(heat, torch.exp(-eigvals[..., None] * times), **tolerance(torch.float32))
    expected = torch.stack([(1 - eigvals) ** power for power in range(5)], dim=2)
    torch.testing.assert_close(make_phi("polynomial", 5).double()(eigvals, valid), expected, **EXACT)
    assert (make_phi("constant", 5)(eigvals, valid) == 1).all()


def test_unknown_phi_is_refused():
    with pytest.raises(ValueError, match="phi='spline'"):
        make_phi("spline", 3)
