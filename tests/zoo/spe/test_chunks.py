import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.spe.chunks import sum_over_chunks

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
STARTS = range(0, 6, 2)


class Example:
    """A function with a parameter, random numbers, an input that is no argument, and one that gets no gradient."""

    def __init__(self, dtype=torch.float64):
        generator = torch.Generator().manual_seed(0)
        self.linear = nn.Linear(5, 3).to(dtype)
        self.unused = nn.Parameter(torch.zeros(2))
        self.x = torch.randn(6, 5, generator=generator, dtype=dtype, requires_grad=True)
        self.constant = torch.randn(6, 5, generator=generator, dtype=dtype)
        self.calls = 0

    def __call__(self, start, x, constant):
        self.calls += 1
        rows = slice(start, start + 2)
        return dropout(torch.tanh(self.linear(x[rows] * constant[rows])), 0.5).float()

    def parameters(self):
        return [*self.linear.parameters(), self.unused]

    def chunked(self):
        return sum_over_chunks(self, STARTS, (self.x, self.constant), self.parameters())

    def looped(self):
        return sum(self(start, self.x, self.constant) for start in STARTS)

    def gradients(self, output):
        return torch.autograd.grad(output.square().sum(), [self.x, *self.parameters()], allow_unused=True)


@pytest.mark.parametrize("autocast", [False, True])
def test_equals_the_loop_with_random_numbers_and_autocast(autocast):
    results = []
    for compute in (Example.looped, Example.chunked):
        torch.manual_seed(0)
        example = Example(torch.float32 if autocast else torch.float64)
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = compute(example)
        torch.randn(3)  # others draw in between
        state = torch.get_rng_state()
        results.append((output, example.gradients(output)))
        assert torch.equal(torch.get_rng_state(), state)
    (expected, gradients), (actual, chunked_gradients) = results
    assert torch.equal(actual, expected)
    assert gradients[-1] is None and chunked_gradients[-1] is None
    for one, other in zip(gradients[:-1], chunked_gradients[:-1], strict=True):
        # The loop adds up the gradients of its chunks in half precision.
        close = {"rtol": 4 * torch.finfo(torch.bfloat16).eps, "atol": 1e-2} if autocast else EXACT
        torch.testing.assert_close(other, one, **close)


def test_no_graph_of_a_chunk_is_kept():
    example = Example()
    output = example.chunked()
    assert {type(node).__name__ for node, _ in output.grad_fn.next_functions if node is not None} == {"AccumulateGrad"}
    assert example.calls == len(STARTS)
    output.sum().backward()
    assert example.calls == 2 * len(STARTS)
    assert example.x.grad.any() and example.constant.grad is None


def test_nothing_is_computed_again_for_inputs_without_gradients():
    example = Example()
    with torch.no_grad():
        assert not example.chunked().requires_grad


def test_second_derivatives_are_refused():
    example = Example()
    (gradient,) = torch.autograd.grad(example.chunked().square().sum(), example.x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
