"""Attacks against closed forms on linear models, and their promises on networks."""

import pytest
import torch
from torch import nn

from datamodules.images.adversarial import fgsm, pgd
from datamodules.images.normalization import NORMALIZATIONS
from tests.datamodules.images.toys import TinyClassifier

NORMALIZATION = NORMALIZATIONS["imagenet"]
ATTACKS = {"fgsm": fgsm, "pgd": pgd}


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3 * 4 * 4, dtype=torch.float64))

    def forward(self, images):
        return images.flatten(1) @ self.weight.T


def images_and_labels(number=6, size=4, classes=5, dtype=torch.float64):
    pixels = torch.rand(number, 3, size, size, dtype=dtype)
    return pixels, NORMALIZATION.normalize(pixels), torch.randint(classes, (number,))


def losses(model, images, labels):
    with torch.no_grad():
        return nn.functional.cross_entropy(model(images), labels, reduction="none")


def test_fgsm_is_the_closed_form_on_a_linear_model():
    model, (pixels, images, labels) = Linear(), images_and_labels()
    # d loss / d logits = softmax - one-hot, and pixels enter by the weights over the standard deviations.
    slope = model(images).softmax(1) - nn.functional.one_hot(labels, 5)
    direction = (slope @ model.weight).view_as(images).sign()
    expected = (pixels + 0.03 * direction).clamp(0, 1)
    attacked = NORMALIZATION.denormalize(fgsm(model, images, labels, 0.03, normalization=NORMALIZATION))
    torch.testing.assert_close(attacked, expected.detach())


def test_pgd_reaches_the_corner_of_the_ball_where_the_gradient_keeps_its_sign():
    model = Linear()
    model.weight.data[2:] = 0
    model.weight.data[1] = -model.weight.data[0]
    pixels, images, _ = images_and_labels()
    labels = torch.zeros(6, dtype=torch.int64)
    direction = -model.weight.data[0].view(3, 4, 4).sign()
    attacked = NORMALIZATION.denormalize(pgd(model, images, labels, 0.05, normalization=NORMALIZATION))
    torch.testing.assert_close(attacked, (pixels + 0.05 * direction).clamp(0, 1))


def test_several_classes_may_be_present():
    model, (pixels, images, _) = Linear(), images_and_labels()
    labels = torch.randint(0, 2, (6, 5)).double()
    direction = ((model(images).sigmoid() - labels) @ model.weight).view_as(images).sign()
    attacked = NORMALIZATION.denormalize(fgsm(model, images, labels, 0.03, normalization=NORMALIZATION))
    torch.testing.assert_close(attacked, (pixels + 0.03 * direction).clamp(0, 1).detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("eps", [0.0, 2 / 255, 8 / 255, 0.6])
def test_changes_stay_within_the_ball_and_the_range(attack, eps, dtype):
    model, (pixels, images, labels) = TinyClassifier().to(dtype), images_and_labels(size=16, dtype=dtype)
    images[0] = NORMALIZATION.normalize(pixels[0].round())  # black and white
    attacked = ATTACKS[attack](model, images, labels, eps, normalization=NORMALIZATION)
    assert attacked.dtype == dtype and not attacked.requires_grad
    rounding = 10 * torch.finfo(dtype).eps
    std = torch.tensor(NORMALIZATION.std, dtype=dtype)[:, None, None]
    change = ((attacked - images) * std).abs().max().item()
    assert change <= eps + rounding and change == pytest.approx(eps, abs=rounding)
    changed = NORMALIZATION.denormalize(attacked)
    assert changed.min() >= -rounding and changed.max() <= 1 + rounding
    assert eps > 0 or torch.equal(attacked, images)


def test_the_loss_increases_most_under_pgd():
    model, (_, images, labels) = TinyClassifier().double().eval(), images_and_labels(number=20, size=16)
    clean = losses(model, images, labels)
    once, often = (
        losses(model, ATTACKS[a](model, images, labels, 0.1, normalization=NORMALIZATION), labels) for a in ATTACKS
    )
    assert (once > clean).all() and (often > clean).all()
    assert often.mean() >= once.mean()


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_image_depends_on_its_batch(attack):
    model, (_, images, labels) = TinyClassifier().double(), images_and_labels(size=16)
    together = ATTACKS[attack](model, images, labels, 0.02, normalization=NORMALIZATION)
    alone = [
        ATTACKS[attack](model, images[i : i + 1], labels[i : i + 1], 0.02, normalization=NORMALIZATION)
        for i in range(6)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_deterministic_and_leave_everything_as_it_was(attack):
    model, (_, images, labels) = TinyClassifier().double(), images_and_labels(size=16)
    model.network[1].eval()
    flags = [module.training for module in model.modules()]
    state = {name: entry.clone() for name, entry in model.state_dict().items()}
    before, random_state = images.clone(), torch.get_rng_state()
    first, second = (ATTACKS[attack](model, images, labels, 0.02, normalization=NORMALIZATION) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), random_state)  # dropout was off
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(entry, state[name]) for name, entry in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_flags_are_restored_after_an_error():
    model, (_, images, labels) = TinyClassifier(), images_and_labels(size=16)
    with pytest.raises(RuntimeError):
        fgsm(model, images, labels, 0.02, normalization=NORMALIZATION)  # a float64 image for a float32 network
    assert model.training and model.network[1].training


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_attacks_work_where_gradients_are_off(mode):
    model, (_, images, labels) = TinyClassifier().double(), images_and_labels(size=16)
    expected = pgd(model, images, labels, 0.02, normalization=NORMALIZATION)
    with mode():
        made_here, its_labels = images * 1, labels * 1
        assert torch.equal(pgd(model, made_here, its_labels, 0.02, normalization=NORMALIZATION), expected)


def test_frozen_networks_are_attacked():
    model, (_, images, labels) = TinyClassifier().double().requires_grad_(False), images_and_labels(size=16)
    attacked = fgsm(model, images, labels, 0.02, normalization=NORMALIZATION)
    assert not torch.equal(attacked, images) and not any(p.requires_grad for p in model.parameters())


def test_half_precision_takes_small_steps():
    model, (pixels, _, labels) = TinyClassifier().bfloat16(), images_and_labels(size=16, dtype=torch.float32)
    images = NORMALIZATION.normalize(pixels).bfloat16()
    attacked = pgd(model, images, labels, 2 / 255, normalization=NORMALIZATION)
    assert attacked.dtype == torch.bfloat16
    change = (NORMALIZATION.denormalize(attacked.float()) - NORMALIZATION.denormalize(images.float())).abs()
    assert 0.5 * 2 / 255 < change.max() < 2 * 2 / 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"eps": -0.1}, r"eps=-0\.1"), ({"eps": 8}, "eps=8"), ({"eps": 0.1, "steps": 0}, "steps=0"),
     ({"eps": 0.1, "step_size": -1}, "step_size=-1")],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(arguments, message):
    model, (_, images, labels) = Linear(), images_and_labels()
    with pytest.raises(ValueError, match=message):
        pgd(model, images, labels, normalization=NORMALIZATION, **arguments)
