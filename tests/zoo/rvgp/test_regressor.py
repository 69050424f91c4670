import numpy as np
import pytest
import torch

from datamodules.surfaces import shapes
from datamodules.surfaces.fields import smooth_ambient_field
from tests.zoo.rvgp.toys import FIELD, GEOMETRY, LABELLED, UNLABELLED, VECTORS, dense_posterior, swirl
from zoo.rvgp.kernels import KINDS
from zoo.rvgp.published import inner_split
from zoo.rvgp.regressor import VectorFieldGP
from zoo.spectral.connection import connection_laplacian

MASK = np.isin(np.arange(220), LABELLED)


def relative_error(prediction, truth=FIELD, rows=UNLABELLED):
    return np.linalg.norm(prediction[rows] - truth[rows]) / np.linalg.norm(truth[rows])


MODEL = VectorFieldGP(24).fit(GEOMETRY.points, VECTORS, MASK)


@pytest.mark.parametrize("kernel", KINDS)
def test_fields_are_interpolated(kernel):
    model = VectorFieldGP(24, kernel=kernel).fit(GEOMETRY, VECTORS, MASK)
    assert relative_error(model.predict()) < 0.15


def test_published_set_up():
    model = VectorFieldGP.published(24).fit(GEOMETRY.points, VECTORS, MASK)
    geometry = connection_laplacian(GEOMETRY.points, 24, n_neighbors=10)
    np.testing.assert_array_equal(model.geometry_.eigvals, geometry.eigvals)
    assert model.scale_ == 1 and list(model.hyperparameters_) == ["nu", "kappa", "sigma_f", "noise"]
    nu, kappa, sigma_f, noise = model.hyperparameters_.values()
    weights = (torch.from_numpy(geometry.eigvals) + 2 * nu / kappa**2) ** -nu
    weights = weights / weights.sum() * 660 * sigma_f
    fields = torch.from_numpy(np.einsum("npd,ndk->npk", geometry.frames, geometry.eigvecs))
    rows, values = fields[LABELLED].flatten(0, 1), torch.from_numpy(VECTORS[LABELLED]).reshape(-1, 1)
    nll, mean, covariance = dense_posterior(rows, values, fields.flatten(0, 1), weights, noise)
    assert -model.evidences_["connection", 24] == pytest.approx(nll.item(), rel=1e-8)
    prediction, deviation = model.predict(return_std=True)
    np.testing.assert_allclose(prediction.ravel(), mean[:, 0], atol=1e-7)
    np.testing.assert_allclose(deviation.ravel() ** 2, covariance.diagonal(), atol=1e-7)


def test_labels_in_any_unit():
    model = VectorFieldGP(24).fit(GEOMETRY.points, 1e-6 * VECTORS, MASK)
    np.testing.assert_allclose(1e6 * model.predict(), MODEL.predict(), atol=1e-4)
    np.testing.assert_allclose(1e12 * model.predict(return_cov=True)[1], MODEL.predict(return_cov=True)[1], atol=1e-4)


def test_missing_rows_are_unlabelled():
    missing = np.where(MASK[:, None], VECTORS, np.nan)
    np.testing.assert_array_equal(VectorFieldGP(24).fit(GEOMETRY.points, missing).predict(), MODEL.predict())
    other = np.where(MASK[:, None], VECTORS, 1e9)
    np.testing.assert_array_equal(
        VectorFieldGP(24).fit(GEOMETRY.points, other, np.sort(LABELLED)).predict(), MODEL.predict()
    )


def test_a_label_that_repeats_weighs_twice():
    once, twice = (
        VectorFieldGP(24, restarts=1, iterations=1).fit(GEOMETRY, VECTORS, labels)
        for labels in (LABELLED, np.concatenate([LABELLED, LABELLED[:1]]))
    )
    first = LABELLED[0]
    error = [np.linalg.norm(model.predict()[first] - VECTORS[first]) for model in (once, twice)]
    assert error[1] < error[0]


def test_covariances_are_consistent():
    mean, covariance = MODEL.predict(return_cov=True)
    _, deviation = MODEL.predict(return_std=True)
    tangent = MODEL.predict_tangent()
    np.testing.assert_allclose(deviation**2, np.diagonal(covariance, axis1=1, axis2=2), atol=1e-14)
    frames = tangent.frames
    np.testing.assert_allclose(frames @ tangent.covariance @ frames.mT, covariance, atol=1e-12)
    np.testing.assert_allclose((frames @ tangent.mean[..., None])[..., 0], mean, atol=1e-12)
    assert deviation[UNLABELLED].mean() > deviation[LABELLED].mean()


def test_samples_scatter_around_the_mean():
    mean, deviation = MODEL.predict(return_std=True)
    samples = MODEL.sample(4000, seed=3)
    assert samples.shape == (4000, 220, 3)
    np.testing.assert_allclose(samples.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(samples.std(0), deviation, atol=0.05 * deviation.max())
    np.testing.assert_array_equal(MODEL.sample(2, seed=3), MODEL.sample(2, seed=3))


def test_new_points_are_predicted():
    points = shapes.torus(1500)
    labelled = np.random.default_rng(0).permutation(1500)[:300]
    model = VectorFieldGP(40).fit(points, swirl(points), labelled)
    new = shapes.torus(400, seed=5)
    mean, deviation = model.predict(new, return_std=True)
    assert relative_error(mean, swirl(new), np.arange(400)) < 0.12
    assert deviation.shape == (400, 3) and (deviation > 0).any()
    np.testing.assert_allclose(model.predict(points[:5]), model.predict()[:5], atol=1e-10)


def test_many_fields_share_hyper_parameters():
    fields = np.stack([VECTORS, -2 * VECTORS, VECTORS[:, [1, 2, 0]]])
    model = VectorFieldGP(24).fit(GEOMETRY.points, fields, MASK)
    prediction = model.predict()
    assert prediction.shape == (3, 220, 3)
    np.testing.assert_allclose(prediction[1], -2 * prediction[0], atol=1e-10)
    assert relative_error(prediction[0]) < 0.2


def test_leaving_one_out_predicts_the_labels():
    prediction, density = MODEL.leave_one_out()
    labels = np.flatnonzero(MASK)
    assert 0 < np.linalg.norm(prediction - VECTORS[labels]) / np.linalg.norm(VECTORS[labels]) < 0.2
    assert density.shape == (70,) and np.isfinite(density).all()
    fitted = np.linalg.norm(MODEL.predict()[labels] - VECTORS[labels])
    assert np.linalg.norm(prediction - VECTORS[labels]) > fitted


def test_evidence_chooses_the_family():
    model = VectorFieldGP(24, family="auto").fit(GEOMETRY, VECTORS, MASK)
    families = {family for family, _ in model.evidences_}
    assert families == {"connection", "projected", "ambient", "curl_free", "divergence_free", "hodge"}
    assert model.basis_.family == max(model.evidences_, key=model.evidences_.get)[0]
    one_sided = connection_laplacian(shapes.moebius_strip(300), 12, dim=2)
    field = np.einsum("npd,d->np", one_sided.frames @ one_sided.frames.transpose(0, 2, 1), [0.0, 0.0, 1.0])
    model = VectorFieldGP(12, family="auto").fit(one_sided, field, np.arange(0, 300, 5))
    assert {family for family, _ in model.evidences_} == {"connection", "projected", "ambient", "curl_free"}


def test_fields_that_are_smooth_in_space_are_best_learned_there():
    points = shapes.ellipsoid(400)
    field = smooth_ambient_field(points, shapes.ellipsoid_frames(points), seed=2)
    geometry = connection_laplacian(points, 120)
    labelled, hidden = np.split(np.random.default_rng(0).permutation(400), [120])
    models = {
        family: VectorFieldGP(120, family=family, restarts=3).fit(geometry, field, labelled)
        for family in ("connection", "ambient")
    }
    errors = {family: relative_error(model.predict(), field, hidden) for family, model in models.items()}
    assert errors["ambient"] < 0.1 and errors["ambient"] < 0.6 * errors["connection"]
    evidences = {family: max(model.evidences_.values()) for family, model in models.items()}
    assert evidences["ambient"] > evidences["connection"]
    new = shapes.ellipsoid(150)
    truth = smooth_ambient_field(points, shapes.ellipsoid_frames(points), seed=2)
    nearest = np.linalg.norm(new[:, None] - points, axis=2).argmin(axis=1)
    assert np.linalg.norm(models["ambient"].predict(new) - truth[nearest]) < 0.3 * np.linalg.norm(truth[nearest])


def test_evidence_chooses_the_number_of_eigenfields():
    model = VectorFieldGP([2, 8, 24]).fit(GEOMETRY, VECTORS, MASK)
    alone = {
        size: VectorFieldGP(size).fit(GEOMETRY, VECTORS, MASK).evidences_["connection", size] for size in (2, 8, 24)
    }
    assert {size: model.evidences_["connection", size] for size in alone} == pytest.approx(alone, abs=0.1)
    assert model.basis_.size == max(alone, key=alone.get) > 2


def test_hyper_parameters_are_taken_as_given():
    given = {"nu": 1.5, "kappa": 5.0, "sigma_f": 1.0, "noise": 0.1}
    model = VectorFieldGP(24, hyperparameters=given, standardize=False).fit(GEOMETRY, VECTORS, MASK)
    assert model.hyperparameters_ == given
    weights = model.basis_.kernel().weights(torch.tensor(list(given.values()), dtype=torch.float64))
    everyone = np.arange(220)
    cross = model.basis_.prior_covariance(weights, everyone, LABELLED).reshape(660, 210)
    gram = model.basis_.prior_covariance(weights, LABELLED, LABELLED).reshape(210, 210)
    tangent = (
        MODEL.basis_.frames[LABELLED]
        @ MODEL.basis_.frames[LABELLED].mT
        @ torch.from_numpy(VECTORS[LABELLED])[..., None]
    )
    noisy = gram + 0.1 * torch.eye(210, dtype=torch.float64)
    expected = cross @ torch.linalg.solve(noisy, tangent.reshape(-1, 1))
    np.testing.assert_allclose(model.predict().ravel(), expected[:, 0], atol=1e-9)
    many = VectorFieldGP(24, hyperparameters=MODEL.hyperparameters_).fit(GEOMETRY, np.stack([VECTORS] * 3), MASK)
    np.testing.assert_allclose(many.predict()[2], MODEL.predict(), atol=1e-9)
    with pytest.raises(ValueError, match="numbers > 0 for nu, kappa, sigma_f, noise"):
        VectorFieldGP(hyperparameters={"nu": 1.5})
    with pytest.raises(ValueError, match="family='auto'"):
        VectorFieldGP(family="auto", hyperparameters=given)


def test_inner_split_is_that_of_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    labelled = np.random.default_rng(0).integers(0, 300, 154)
    train, held_out = selection.train_test_split(labelled, test_size=0.2, random_state=0)
    found = inner_split(labelled)
    np.testing.assert_array_equal(found[0], train)
    np.testing.assert_array_equal(found[1], held_out)
    with pytest.raises(ValueError, match="test_size=1"):
        inner_split(labelled, 1.0)


def test_components_without_labels_are_warned_about():
    points = np.concatenate([GEOMETRY.points, shapes.sphere(60) + 10])
    vectors = np.concatenate([VECTORS, np.full((60, 3), np.nan)])
    with pytest.raises(ValueError, match="2 components, of 220, 60 points"):
        VectorFieldGP(24).fit(points, vectors)
    model = VectorFieldGP(24, geometry={"disconnected": "keep"})
    with pytest.warns(UserWarning, match="60 points lie in components"):
        model.fit(points, vectors)
    assert np.abs(model.predict()[220:]).max() < 1e-9
    joined = VectorFieldGP(24, geometry={"disconnected": "join"}).fit(points, vectors)
    assert joined.geometry_.diagnostics().components == 1


def test_few_labels_are_warned_about():
    with pytest.warns(UserWarning, match="5 labels say little about 24 eigenfields"):
        VectorFieldGP(24).fit(GEOMETRY, VECTORS, LABELLED[:5])


@pytest.mark.parametrize(
    ("vectors", "mask", "message"),
    [
        (VECTORS[:10], None, "vectors.shape"),
        (VECTORS, np.zeros(220, dtype=bool), "at least 2 labelled"),
        (VECTORS, [0, 220], "indices from 0 to 219"),
        (VECTORS, np.ones(219, dtype=bool), "mask.shape"),
        (VECTORS, np.ones(220), "booleans"),
        (np.where(MASK[:, None], np.inf, VECTORS), MASK, "NaN or infinity at the labelled point"),
        (0 * VECTORS, None, "all 0"),
    ],
)
def test_bad_labels_are_named(vectors, mask, message):
    with pytest.raises(ValueError, match=message):
        VectorFieldGP(24).fit(GEOMETRY, vectors, mask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_eigenpairs": 0}, "n_eigenpairs=0"),
        ({"kernel": "rbf"}, "kernel='rbf'"),
        ({"family": "rbf"}, "family='rbf'"),
        ({"observation": "scalar"}, "observation='scalar'"),
        ({"restarts": 0}, "restarts=0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        VectorFieldGP(**arguments)


def test_predicting_needs_a_fit():
    with pytest.raises(RuntimeError, match="call fit"):
        VectorFieldGP().predict()
    with pytest.raises(ValueError, match="not both"):
        MODEL.predict(return_std=True, return_cov=True)
