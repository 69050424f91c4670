import pytest
import torch

from zoo.koopman.named_dictionaries import BUILDERS, build_dictionary

ARGUMENTS = {
    "monomials": {"degree": 2},
    "chebyshev": {"degree": 2},
    "hermite": {"degree": 2},
    "hermite_functions": {"degree": 2},
    "fourier": {"degree": 1},
    "radial": {"count": 5},
    "delays": {"delays": 2},
    "delayed": {"inner": {"name": "fourier", "degree": 1}, "delays": 2},
    "principal_components": {"count": 1},
    "concatenation": {"parts": [{"name": "monomials", "degree": 1}, {"name": "radial", "count": 3}]},
    "product": {
        "first": {"name": "fourier", "dim": 1, "degree": 2},
        "second": {"name": "hermite_functions", "dim": 1, "degree": 3},
        "cross": 3,
    },
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_name_builds_functions_that_have_names(name):
    dictionary = build_dictionary(name, 2, **ARGUMENTS[name])
    states = torch.randn(40, 2).double()
    dictionary.adapt(states)
    values = dictionary(states)
    assert values.shape == (40, dictionary.size)
    assert len(set(dictionary.names)) == dictionary.size
    assert torch.isfinite(torch.view_as_real(values) if values.is_complex() else values).all()


def test_what_the_data_decide_is_in_the_state():
    dictionary = build_dictionary("concatenation", 2, **ARGUMENTS["concatenation"])
    states = torch.randn(40, 2).double()
    dictionary.adapt(states)
    rebuilt = build_dictionary("concatenation", 2, **ARGUMENTS["concatenation"])
    assert not torch.equal(rebuilt(states), dictionary(states))
    rebuilt.load_state_dict(dictionary.state_dict())
    assert torch.equal(rebuilt(states), dictionary(states))


@pytest.mark.parametrize(
    ("name", "dim", "arguments", "error", "message"),
    [
        ("monomial", 2, {}, ValueError, "dictionary='monomial' is not allowed"),
        ("monomials", 2, {"order": 2}, TypeError, "dictionary_kwargs of 'monomials'.*order"),
        ("monomials", 2, {"degree": 0}, ValueError, "dictionary_kwargs of 'monomials': degree=0"),
        ("delays", 3, {"delays": 2}, ValueError, "delays=2 is not allowed; give a divisor"),
        ("product", 3, ARGUMENTS["product"], ValueError, "first.dim \\+ second.dim=2"),
        ("concatenation", 2, {"parts": []}, ValueError, "parts=\\[\\]"),
        ("principal_components", 2, {"count": 3}, ValueError, "count=3 is not allowed; give at most 2"),
    ],
)
def test_bad_arguments_are_refused(name, dim, arguments, error, message):
    with pytest.raises(error, match=message):
        build_dictionary(name, dim, **arguments)
