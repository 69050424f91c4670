import pytest
import torch

from zoo.koopman.principal_components import PrincipalComponents


def test_modes_are_orthonormal_and_hold_most_of_the_states():
    states = torch.randn(30, 2).double() @ torch.randn(2, 6).double() + 1e-3 * torch.randn(30, 6).double()
    modes = PrincipalComponents(6, 2)
    modes.adapt(states)
    torch.testing.assert_close(modes.basis.mT @ modes.basis, torch.eye(2).double(), rtol=0, atol=1e-14)
    rebuilt = modes(states) @ modes.basis.mT
    assert (rebuilt - states).norm() < 1e-2 * states.norm()


def test_signs_do_not_depend_on_the_linear_algebra():
    modes = PrincipalComponents(3, 3)
    modes.adapt(torch.randn(10, 3).double())
    largest = modes.basis.gather(0, modes.basis.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()


def test_fewer_states_than_modes_are_refused():
    with pytest.raises(ValueError, match="count=3 is not allowed; give at most 2, the number of states"):
        PrincipalComponents(4, 3).adapt(torch.randn(2, 4))
