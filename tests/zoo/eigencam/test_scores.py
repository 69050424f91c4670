import pytest
import torch

from zoo.eigencam.scores import class_score, logits_of, predicted_classes


def test_logits_of_every_kind_of_output():
    logits, pixels = torch.rand(2, 5), torch.rand(2, 5, 4, 4)
    assert logits_of(logits) is logits
    assert logits_of({"out": pixels, "aux": pixels + 1}) is pixels
    assert logits_of([{"boxes": torch.rand(3, 4)}]) is None
    assert logits_of({"features": pixels}) is None
    assert logits_of(torch.rand(2, 7, 5)) is None


def test_score_of_logits_is_their_sum():
    logits = torch.rand(3, 5, requires_grad=True)
    classes = torch.tensor([4, 0, 2])
    assert torch.equal(predicted_classes(logits), logits.argmax(1))
    class_score(logits, classes).backward()
    expected = torch.zeros(3, 5)
    expected[range(3), classes] = 1
    assert torch.equal(logits.grad, expected)


def test_score_of_pixels_is_that_of_the_pixels_of_the_class():
    logits = torch.full((2, 3, 2, 2), -1.0)
    logits[0, 0], logits[0, 2, 0, 1] = 1.0, 5.0  # one pixel of class 2 before a background
    logits[1, 0] = 1.0  # background alone
    assert predicted_classes({"out": logits}).tolist() == [2, 0]
    assert class_score({"out": logits}, torch.tensor([2, 0])).item() == 5 + 4


@pytest.mark.parametrize("classes", [torch.tensor([0]), torch.tensor([0, 5]), torch.tensor([-1, 0]), torch.rand(2)])
def test_bad_classes_are_named(classes):
    with pytest.raises(ValueError, match="classes="):
        class_score(torch.rand(2, 5), classes)


def test_detections_have_no_scores():
    with pytest.raises(ValueError, match="without class scores"):
        predicted_classes([{"boxes": torch.rand(3, 4)}])
