import pytest
import torch

from zoo.lsm.rollout import rollout


def test_predictions_become_inputs():
    frames = torch.tensor([[[1.0, 1.0]]])
    fibonacci = rollout(lambda past: past.sum(-1, keepdim=True), frames, 5)
    assert fibonacci.tolist() == [[[2, 3, 5, 8, 13]]]


def test_several_channels_of_a_frame():
    frames = torch.arange(6.0).reshape(1, 1, 6)  # three frames of two channels
    predicted = rollout(lambda past: past[..., :2] + 10, frames, 4)
    assert predicted.tolist() == [[[10, 11, 12, 13, 14, 15, 20, 21]]]


def test_truth_takes_the_place_of_predictions():
    frames, truth = torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[5.0, 7.0, 9.0]]])
    assert rollout(lambda past: past.sum(-1, keepdim=True), frames, 3, truth).tolist() == [[[2, 6, 12]]]


def test_gradients_flow_through_time():
    factor = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    frames = torch.ones(1, 1, 2, dtype=torch.float64)
    predicted = rollout(lambda past: factor * past[..., -1:], frames, 4)
    (gradient,) = torch.autograd.grad(predicted[..., -1].sum(), factor)
    assert gradient.item() == pytest.approx(4 * 1.5**3)


def test_number_of_steps_is_checked():
    with pytest.raises(ValueError, match="num_steps=0"):
        rollout(lambda past: past, torch.ones(1, 1, 2), 0)
