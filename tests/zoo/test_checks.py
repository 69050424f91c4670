import math

import pytest

from zoo.checks import (
    require,
    require_above,
    require_choice,
    require_finite,
    require_positive,
    require_probability,
)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: require(False, "size", 3, "an even number"), "size=3 is not allowed; give an even number"),
        (lambda: require_choice("mode", "c", ("a", "b")), "mode='c' is not allowed; give one of 'a', 'b'"),
        (lambda: require_positive(width=0), "width=0 is not allowed; give an integer >= 1"),
        (lambda: require_positive(width=1.0), "width=1.0"),
        (lambda: require_probability(dropout=1.0), r"dropout=1.0 is not allowed; give a number in \[0, 1\)"),
        (lambda: require_finite(step=math.nan), "step=nan is not allowed; give a finite number"),
        (lambda: require_finite(step="1"), "step='1'"),
        (lambda: require_above(0, step=0.0), "step=0.0 is not allowed; give a number > 0"),
        (lambda: require_above(0, step=math.inf), "step=inf"),
    ],
)
def test_refusals_name_the_argument_and_what_is_allowed(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_what_is_allowed_passes():
    require(True, "size", 2, "an even number")
    require_choice("mode", "a", ("a", "b"))
    require_positive(width=1)
    require_probability(dropout=0, other=0.5)
    require_finite(step=-1.5, count=3)
    require_above(0, step=1e-300)
