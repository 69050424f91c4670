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


def test_it_is_rebuilt_by_its_shape():
    normalizer, *_ = fitted()
    other = FieldNormalizer([4, 3, 2])
    other.load_state_dict(normalizer.state_dict())
    assert torch.equal(other.scale, normalizer.scale.float())


def test_another_grid_is_refused_where_points_have_statistics_of_their_own():
    with pytest.raises(ValueError, match=r"grid \(5, 3\) are not allowed.*grid \(4, 3\)"):
        fitted()[0].encode(torch.zeros(1, 5, 3, 2, dtype=torch.float64))
    assert fitted((2,))[0].encode(torch.zeros(1, 5, 3, 2, dtype=torch.float64)).shape == (1, 5, 3, 2)
