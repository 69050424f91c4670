import torch

from datamodules.samples import TensorSamples, collate

SAMPLES = TensorSamples({"a": torch.arange(5), "b": torch.arange(10.0).reshape(5, 2)})


def test_a_sample_is_a_row_of_each_entry():
    assert len(SAMPLES) == 5
    torch.testing.assert_close(SAMPLES[3], {"a": torch.tensor(3), "b": torch.tensor([6.0, 7.0])})


def test_batches_are_the_same_gathered_or_collated():
    gathered = collate(SAMPLES.__getitems__([4, 0, 0]))
    torch.testing.assert_close(gathered, {"a": torch.tensor([4, 0, 0]), "b": torch.tensor([[8.0, 9], [0, 1], [0, 1]])})
    torch.testing.assert_close(collate([SAMPLES[index] for index in (4, 0, 0)]), gathered, rtol=0, atol=0)
