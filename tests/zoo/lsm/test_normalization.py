import pytest
import torch

from zoo.lsm.normalization import FieldNormalizer


def fitted(shape=(4, 3, 2)):
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    normalizer = FieldNormalizer().double()
    normalizer.fit(mean, std.abs())
    return normalizer, mean, std.abs()


@pytest.mark.parametrize("shape", [(4, 3, 2), (2,)])
def test_decoding_undoes_encoding(shape):
    normalizer, mean, std = fitted(shape)
    x = torch.randn(5, 4, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(normalizer.decode(normalizer.encode(x)), x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(normalizer.encode(x), (x - mean) / (std + 1e-5), rtol=1e-12, atol=1e-12)


def test_it_starts_as_the_identity():
    x = torch.randn(5, 4, 3, 2)
    assert torch.equal(FieldNormalizer().encode(x), x) and torch.equal(FieldNormalizer().decode(x), x)


def test_statistics_are_loaded_whatever_their_shape():
    normalizer, *_ = fitted()
    other = torch.nn.Sequential(FieldNormalizer())
    other.load_state_dict({f"0.{name}": value for name, value in normalizer.state_dict().items()})
    assert torch.equal(other[0].scale, normalizer.scale.float()) and other[0].mean.dtype == torch.float32
