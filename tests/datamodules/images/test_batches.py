import torch

from datamodules import keys
from datamodules.images.batches import collate_images, mirror
from datamodules.images.normalization import NORMALIZATIONS


def sample(number_of_boxes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 4, (number_of_boxes, 2), generator=generator)
    return {
        keys.IMAGE: torch.randint(0, 256, (3, 6, 8), generator=generator, dtype=torch.uint8),
        keys.MASK: torch.randint(0, 2, (6, 8), generator=generator, dtype=torch.uint8),
        keys.BOXES: torch.cat([corner, corner + 2], 1).float(),
        keys.BOX_LABEL: torch.arange(number_of_boxes),
        keys.DIFFICULT: torch.ones(number_of_boxes, dtype=torch.bool),
        keys.LABEL: torch.tensor([1.0, 0.0]),
    }


def batch_of(*numbers):
    return collate_images([sample(number, seed) for seed, number in enumerate(numbers)], NORMALIZATIONS["imagenet"])


def test_boxes_are_padded():
    batch = batch_of(2, 0, 3)
    assert batch[keys.BOXES].shape == (3, 3, 4) and batch[keys.NUM_BOXES].tolist() == [2, 0, 3]
    assert batch[keys.BOX_LABEL].tolist() == [[0, 1, -1], [-1, -1, -1], [0, 1, 2]]
    assert batch[keys.DIFFICULT].tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert not batch[keys.BOXES][0, 2].any() and not batch[keys.BOXES][1].any()
    assert batch[keys.LABEL].shape == (3, 2) and batch[keys.LABEL].dtype == torch.float32


def test_there_may_be_no_box_at_all():
    batch = batch_of(0, 0)
    assert batch[keys.BOXES].shape == (2, 0, 4) and batch[keys.BOX_LABEL].shape == (2, 0)
    assert mirror(batch, torch.tensor([True, False]))[keys.BOXES].shape == (2, 0, 4)


def test_images_are_normalised():
    batch = batch_of(1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (sample(1)[keys.IMAGE].permute(1, 2, 0) / 255 - mean) / std
    torch.testing.assert_close(batch[keys.IMAGE][0], expected.permute(2, 0, 1))


def test_mirroring_is_its_own_inverse_and_touches_the_chosen_alone():
    batch, chosen = batch_of(2, 1, 0), torch.tensor([True, False, True])
    mirrored = mirror(batch, chosen)
    assert torch.equal(mirrored[keys.IMAGE][0], batch[keys.IMAGE][0].flip(-1))
    assert torch.equal(mirrored[keys.IMAGE][1], batch[keys.IMAGE][1])
    assert mirrored[keys.BOXES][0, 0].tolist() != batch[keys.BOXES][0, 0].tolist()
    assert not mirrored[keys.BOXES][2].any()
    twice = mirror(mirrored, chosen)
    assert all(torch.equal(twice[key], batch[key]) for key in batch)
    assert {key: entry.dtype for key, entry in mirrored.items()} == {key: entry.dtype for key, entry in batch.items()}


def test_mirrored_boxes_hold_the_same_pixels():
    batch = batch_of(1)
    mirrored = mirror(batch, torch.tensor([True]))
    (x0, y0, x1, y1), (u0, v0, u1, v1) = (b[keys.BOXES][0, 0].int().tolist() for b in (batch, mirrored))
    patch, same = batch[keys.IMAGE][0, :, y0:y1, x0:x1], mirrored[keys.IMAGE][0, :, v0:v1, u0:u1]
    assert torch.equal(patch.flip(-1), same)
