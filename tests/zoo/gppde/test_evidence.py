import math

import pytest
import torch

from zoo.gppde.conditioning import condition
from zoo.gppde.evidence import Evidence, maximise_evidence
from zoo.gppde.functionals import Part, Rows
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.operators import Unknown

ONE = torch.ones((), dtype=torch.float64)
X = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None]


def kernel(mu=2.0):
    return SpectralMixture("stm", *torch.tensor([[-0.5, -1.0], [0.2, 0.4], [0.0, mu]], dtype=torch.float64))


def rows_of(noise=0.0, omega=14.0):
    """Helmholtz's equation u'' + kappa u = f and the ends."""
    u, f = torch.sin(omega * X[:, 0]), (60 - omega**2) * torch.sin(omega * X[:, 0])

    def build(coefficients):
        kappa = coefficients.get("kappa", 60 * ONE)
        equation = Rows("equation", (Part(X, {(2,): ONE, (0,): kappa}),), f, noise)
        return [equation, Rows("values", (Part(X[::5], {(0,): ONE}),), u[::5], noise)]

    return build


@pytest.mark.parametrize("noise", [0.0, 0.3, None])
def test_gradients_are_those_of_differences(noise):
    evidence = Evidence([kernel()], rows_of(noise), [Unknown("kappa", 40.0)])
    value, gradient = evidence.gradient(evidence.start)
    assert math.isfinite(value)
    for place in range(len(evidence.start)):
        step = torch.zeros_like(evidence.start)
        step[place] = 1e-4 * evidence.units[place]
        slope = (evidence.gradient(evidence.start + step)[0] - evidence.gradient(evidence.start - step)[0]) / (
            2 * step[place]
        )
        assert float(gradient[place]) == pytest.approx(float(slope), rel=1e-4, abs=1e-4)


def test_it_is_the_evidence_of_conditioning():
    evidence = Evidence([kernel()], rows_of(), train="nothing")
    posterior = condition([kernel()], rows_of()({}))
    # The nugget of the search is the larger one.
    assert -evidence.gradient(evidence.start)[0] == pytest.approx(float(posterior.log_evidence), rel=1e-2)
    with_noise = Evidence([kernel()], rows_of(0.5), train="nothing")
    found = maximise_evidence(with_noise)
    reference = condition([kernel()], rows_of(0.5)({}))
    assert found.log_evidence == pytest.approx(float(reference.log_evidence), rel=1e-5)
    amplitude = (found.kernels[0].log_weight - kernel().log_weight).exp()[0]
    assert float(amplitude) == pytest.approx(float(reference.amplitude), rel=1e-2)


def test_the_frequency_is_found_and_the_rest_is_pruned():
    comb = SpectralMixture.comb("stm", 6, 4.0)
    fitted = maximise_evidence(Evidence([comb], rows_of(omega=14.0)), 60, credible_widths=True)
    weight = fitted.kernels[0].log_weight.exp()
    heaviest = int(weight.argmax())
    omega = 2 * math.pi * float(fitted.kernels[0].frequency[heaviest])
    assert omega == pytest.approx(14.0, abs=0.3)
    assert 0 < fitted.frequency_deviations[0][heaviest] < 0.1


def test_an_unknown_coefficient_is_found_with_its_standard_error():
    start = Evidence([kernel(14 / (2 * math.pi))], rows_of(), [Unknown("kappa", 45.0)], train="weights")
    fitted = maximise_evidence(start)
    assert fitted.coefficients["kappa"] == pytest.approx(60.0, abs=0.5)
    assert 0 < fitted.deviations["kappa"] < 5


def test_instances_add_up():
    build = rows_of(0.1)

    def twice(coefficients):
        return [Rows(r.label, r.parts, torch.stack([r.values, r.values]), r.noise) for r in build(coefficients)]

    one, two = Evidence([kernel()], build), Evidence([kernel()], twice)
    assert two.gradient(two.start)[0] == pytest.approx(2 * one.gradient(one.start)[0])


def test_refusals():
    with pytest.raises(ValueError, match="train='everything'"):
        Evidence([kernel()], rows_of(), train="everything")
    with pytest.raises(ValueError, match="max_steps"):
        maximise_evidence(Evidence([kernel()], rows_of()), 0)
