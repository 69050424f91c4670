from zoo.gaunt.convolution import FORMS, GauntConvolution
from zoo.gaunt.costs import fastest, fastest_backend, table
from zoo.gaunt.product import BACKENDS, GauntTensorProduct


def test_table_knows_real_backends_and_is_relative_to_the_fastest():
    for (operation, _, _), times in table().items():
        assert set(times) <= set({"product": BACKENDS, "convolution": FORMS}[operation])
        assert min(times.values()) == 1.0


def test_choice_is_the_fastest_of_what_is_allowed():
    for (operation, lmax_in, lmax_out), times in table().items():
        assert times[fastest(operation, lmax_in, lmax_out, list(times))] == 1.0
    assert fastest_backend(2, 2, 2, ["separable"]) == "separable"
    assert fastest("product", 2, 2, ["fourier"]) == "fourier"  # not measured, but the only one


def test_modules_follow_the_table():
    assert GauntTensorProduct(3, 2, 3).backend == fastest_backend(3, 2, 3, list(BACKENDS))
    assert GauntTensorProduct(40, 40, 70).backend in BACKENDS
    assert GauntConvolution(3, 3, 3).form == fastest("convolution", 3, 3, FORMS[:3])
