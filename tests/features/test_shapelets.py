"""Learned shapelets: the distances, what is learned, and what tslearn makes of the same."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from helpers.commands import train
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from hiexp.classifiers.shapelets import ShapeletClassifier
from hiexp.errors import InputError
from hiexp.features import RawProfile
from hiexp.features.shapelet_network import ShapeletNetwork
from hiexp.features.shapelets import LearnedShapelets
from hiexp.features.shapelets_tslearn import TslearnShapelets
from hiexp.plots.shapelets import plot_shapelets
from hiexp.run.model_files import load_model, save_model
from hiexp.run.pipeline import extract, learn

SMALL = {"lengths": [12, 5], "counts": [3, 2], "epochs": 3}


def horns(n=60, n_samples=50, classes=(3, -1, 7)):
    """Noise with one horn, two horns or none, anywhere in the profile; classes are any integers."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % len(classes)
    axis = np.arange(n_samples)
    first = rng.uniform(8, n_samples - 22, (n, 1))
    horn = [np.exp(-0.5 * ((axis - first - shift) / 2) ** 2) for shift in (0, 12)]
    X = rng.normal(0, 0.05, (n, n_samples)) + (kind < 2)[:, None] * horn[0] + (kind == 1)[:, None] * horn[1]
    return X, np.array(classes)[kind]


def brute_force(series, shapelet):
    """Distances to every window, shape (N, windows), in double precision."""
    windows = np.lib.stride_tricks.sliding_window_view(series.astype(float), len(shapelet), axis=1)
    return ((windows - shapelet.astype(float)) ** 2).mean(axis=-1)


@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(0, 70), st.floats(0.01, 100))
def test_the_distance_is_that_of_the_nearest_window(seed, longest, more, size):
    rng = np.random.default_rng(seed)
    series = (size * rng.random((3, longest + more))).astype(np.float32)
    lengths = [longest, max(2, longest // 3)]
    network = ShapeletNetwork(lengths, [1, 2], 2)
    network.shapelets.data = size * torch.from_numpy(rng.random(network.shapelets.shape, dtype=np.float32))
    with torch.no_grad():
        distances = network.distances(torch.from_numpy(series)).numpy()
    starts = network.locate(torch.from_numpy(series)).numpy()
    for number, length in enumerate(np.repeat(lengths, [1, 2])):
        every = brute_force(series, network.shapelets.detach().numpy()[number, :length])
        there = np.take_along_axis(every, starts[:, [number]], axis=1)[:, 0]
        np.testing.assert_allclose(distances[:, number], there, rtol=1e-5)
        np.testing.assert_allclose(distances[:, number], every.min(axis=1), atol=1e-5 * size**2)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_gradient_is_that_of_automatic_differentiation(n_classes):
    torch.manual_seed(0)
    network = ShapeletNetwork([20, 7], [3, 4], n_classes)
    network.shapelets.data.uniform_()
    series, targets = torch.rand(9, 40), torch.randint(n_classes, (9,))
    logits = network(series)
    expected = torch.nn.functional.cross_entropy(logits, targets)
    expected.backward()
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    loss, n_right = network.backward(series, targets)
    torch.testing.assert_close(loss, expected.detach())
    assert n_right == (logits.argmax(dim=1) == targets).sum()
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert gradient.abs().max() > 1e-4
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-7, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [50, 97])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(("lengths", "counts"), [([50], [4]), ([30, 12, 5], [2, 3, 1]), ([2, 41], [5, 2])])
def test_distances_are_those_of_tslearn(monkeypatch, n_samples, scale, lengths, counts):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    from tslearn.shapelets import LearningShapelets, shapelets

    rng = np.random.default_rng(n_samples)

    def drawn(X, count, length):
        return rng.random((count, length, 1))

    monkeypatch.setattr(shapelets, "_kmeans_init_shapelets", drawn)
    X, y = horns(20, n_samples)
    theirs = LearningShapelets(dict(zip(lengths, counts, strict=True)), max_iter=1, scale=scale).fit(X[:, :, None], y)
    ours = LearnedShapelets(lengths, counts, epochs=1, scale=scale).fit(X, y)
    for row, shapelet in zip(ours.network_.shapelets.data, theirs.shapelets_, strict=True):
        row[: len(shapelet)] = torch.from_numpy(shapelet[:, 0])
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X[:, :, None]), atol=1e-5)
    nearest = [
        brute_force(RawProfile("minmax" if scale else "none").fit_transform(X), shapelet)
        for shapelet in ours.shapelets_
    ]
    for number, every in enumerate(nearest):  # where two windows are as near, either may be chosen
        chosen = np.take_along_axis(every, theirs.locate(X[:, :, None])[:, [number]], axis=1)[:, 0]
        np.testing.assert_allclose(ours.transform(X)[:, number], chosen, atol=1e-5)


def test_what_is_learned_tells_the_classes_apart():
    X, y = horns()
    learned = LearnedShapelets([14], [4], epochs=40, optimizer="adam", learning_rate=0.1).fit(X[::2], y[::2])
    assert len(learned.history_["shapelet_loss"]) == len(learned.history_["shapelet_accuracy"]) == 40
    assert learned.history_["shapelet_loss"][-1] < 0.5 * learned.history_["shapelet_loss"][0]
    distances = learned.transform(X)
    assert distances.dtype == np.float32
    assert KNeighborsClassifier(1).fit(distances[::2], y[::2]).score(distances[1::2], y[1::2]) > 0.95


def test_the_networks_own_prediction():
    X, y = horns()
    classifier = ShapeletClassifier([14], [4], epochs=40, optimizer="adam", learning_rate=0.1).fit(X[::2], y[::2])
    assert classifier.classes_.tolist() == [-1, 3, 7]
    assert classifier.score(X[1::2], y[1::2]) > 0.95
    probability = classifier.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[probability.argmax(axis=1)], classifier.predict(X))
    feature = LearnedShapelets([14], [4], epochs=40, optimizer="adam", learning_rate=0.1).fit(X[::2], y[::2])
    np.testing.assert_array_equal(feature.transform(X), classifier.transform(X))


def test_shapelets_are_readable():
    learned = LearnedShapelets(**SMALL).fit(*horns())
    assert [len(shapelet) for shapelet in learned.shapelets_] == [12, 12, 12, 5, 5]
    X, _ = horns()
    scaled = RawProfile().fit_transform(X)
    for number, shapelet in enumerate(learned.shapelets_):
        every = brute_force(scaled, shapelet)
        np.testing.assert_allclose(learned.transform(X)[:, number], every.min(axis=1), atol=1e-6)


def test_without_steps_to_speak_of_shapelets_are_typical_windows():
    """Centres of a k-means stay within the values of the profiles and are unlike each other."""
    start = LearnedShapelets([12], [4], epochs=1, learning_rate=1e-12).fit(*horns()).shapelets_
    assert all(shapelet.min() >= 0 and shapelet.max() <= 1 for shapelet in start)
    assert min(np.abs(one - two).max() for i, one in enumerate(start) for two in start[:i]) > 0.1


def test_scaled_profiles_make_units_irrelevant():
    X, y = horns()
    learned = LearnedShapelets(**SMALL).fit(X, y)
    np.testing.assert_allclose(learned.transform(250 * X - 40), learned.transform(X), atol=1e-6)


def test_the_regularizer_makes_weights_small():
    X, y = horns()
    free, held = (
        LearnedShapelets(**SMALL | {"epochs": 20}, weight_regularizer=strength).fit(X, y) for strength in (0, 10)
    )
    size = [model.network_.classification.weight.abs().sum().item() for model in (free, held)]
    assert size[1] < 0.1 * size[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_seed_same_numbers_whatever_came_before(optimizer):
    X, y = horns()
    model = LearnedShapelets(**SMALL, optimizer=optimizer)
    one = model.fit(X, y).transform(X)
    torch.rand(17)
    np.testing.assert_array_equal(model.fit(X, y).transform(X), one)
    assert not np.array_equal(model.set_params(seed=1).fit(X, y).transform(X), one)


def test_global_states_are_left_alone():
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    LearnedShapelets(**SMALL).fit(*horns()).transform(horns()[0])
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_profile_does_not_depend_on_its_neighbours(monkeypatch):
    X, y = horns()
    learned = LearnedShapelets(**SMALL).fit(X, y)
    whole = learned.transform(X)
    monkeypatch.setattr("hiexp.features.shapelets.BATCH_NUMBERS", 1)
    np.testing.assert_allclose(learned.transform(X), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("feature", "classifier"),
    [(LearnedShapelets(**SMALL), SVC()), (RawProfile(), ShapeletClassifier(**SMALL))],
    ids=["feature", "classifier"],
)
def test_a_model_loaded_predicts_as_it_did(tmp_path, feature, classifier):
    X, y = horns()
    model = learn(extract(feature, X, np.arange(len(X)), y), classifier, np.arange(len(X)), y)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    step = "feature" if isinstance(feature, LearnedShapelets) else "classifier"
    np.testing.assert_array_equal(loaded[step].transform(X), model[step].transform(X))
    assert loaded[step].history_ == model[step].history_


def estimator_checks():
    settings = {"lengths": [2], "counts": [2], "scale": False}
    steps = {"epochs": 15, "optimizer": "adam", "learning_rate": 0.1}
    for kind in (LearnedShapelets, ShapeletClassifier):
        for model, check in estimator_checks_generator(kind(**settings | steps)):
            yield pytest.param(model, check, id=f"{kind.__name__}-{check.func.__name__}")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "check"), list(estimator_checks()))
def test_a_scikit_learn_estimator(model, check):
    check(model)


def test_it_cannot_do_without_classes():
    assert get_tags(LearnedShapelets()).target_tags.required
    with pytest.raises(ValueError, match="requires y"):
        LearnedShapelets(**SMALL).fit(horns()[0], None)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lengths": [51, 5]}, r"lengths=\[51, 5\].*50 samples"),
        ({"lengths": [5, 5]}, r"lengths=\[5, 5\].*once"),
        ({"lengths": [1, 5]}, r"lengths=\[1, 5\]"),
        ({"lengths": [], "counts": []}, r"counts=\[\]"),
        ({"counts": [3]}, r"counts=\[3\].*lengths=\[12, 5\]"),
        ({"counts": [3, 0]}, r"counts=\[3, 0\]"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"optimizer": "rprop"}, "optimizer=rprop.*sgd, adam"),
        ({"device": "tpu"}, "device=tpu"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        LearnedShapelets(**SMALL | settings).fit(*horns())


@pytest.fixture(scope="module")
def trace():
    """UCR's Trace: four kinds of transient, 100 to train on and 100 to test."""
    from tslearn.datasets import CachedDatasets

    X, y, X_test, y_test = CachedDatasets().load_dataset("Trace")
    return X[..., 0], y, X_test[..., 0], y_test


def accuracies(model, X, y, X_test, y_test):
    train, test = model.fit(X, y).transform(X), model.transform(X_test)
    classifiers = KNeighborsClassifier(1), SVC(), RandomForestClassifier(100, random_state=0)
    return np.array([classifier.fit(train, y).score(test, y_test) for classifier in classifiers])


def test_trace_is_told_apart_as_with_tslearns_distances(trace):
    """With the shapelets of the study and 50 epochs, tslearn's distances make 1.00 three times over."""
    assert accuracies(LearnedShapelets(epochs=50), *trace).min() >= 0.99


def test_tslearn_fits_behind_the_same_interface_and_no_better(monkeypatch, trace, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    from tslearn.shapelets import shapelets

    start = partial(shapelets._kmeans_init_shapelets, n_draw=500)  # a twentieth, since it takes most of the time
    monkeypatch.setattr(shapelets, "_kmeans_init_shapelets", start)
    settings = {"lengths": [30], "counts": [4], "epochs": 5}
    theirs = TslearnShapelets(**settings)
    # Of four shapelets the support vector machine makes 0.72 or 1.00, as the start has it, on either side.
    knn_and_forest = [0, 2]
    accuracy = accuracies(theirs, *trace)[knn_and_forest]
    assert np.all(accuracies(LearnedShapelets(**settings), *trace)[knn_and_forest] >= accuracy - 0.02)
    assert [len(values) for values in theirs.history_.values()] == [5, 5]
    assert list(theirs.history_) == ["shapelet_loss", "shapelet_accuracy"]
    assert 0 < theirs.history_["shapelet_accuracy"][-1] <= 1
    save_model(Pipeline([("feature", theirs)]), tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).transform(trace[2]), theirs.transform(trace[2]))


def test_without_keras_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(InputError, match=r'pip install "hiexp\[keras\]"'):
        TslearnShapelets(**SMALL).fit(*horns())


@pytest.mark.parametrize(("counts", "panels"), [([9, 8], 12), ([1, 1], 2), ([3, 2], 5)])
@pytest.mark.parametrize("kind", [LearnedShapelets, ShapeletClassifier])
def test_shapelets_are_drawn_on_their_nearest_profiles(monkeypatch, kind, counts, panels):
    X, y = horns()
    model = kind(**SMALL | {"counts": counts}).fit(X, y)
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *file, **how: figures.append(figure))
    plot_shapelets(X, y, model, "unused")
    assert len(figures[0].axes) == panels
    separation = [float(panel.get_title().rpartition("=")[2]) for panel in figures[0].axes]
    assert separation == sorted(separation, reverse=True)
    for panel in figures[0].axes:
        profile, (places, shapelet) = panel.lines[0].get_ydata(), panel.lines[1].get_data()
        start = round((places[0] + 1) / 2 * (profile.size - 1))  # the axis runs from -1 to 1 half windows
        distance = np.mean((profile[start : start + len(shapelet)] - shapelet) ** 2)
        number = next(i for i, learned in enumerate(model.shapelets_) if np.array_equal(learned, shapelet))
        assert distance == pytest.approx(model.transform(X)[:, number].min(), abs=1e-6)


def test_the_picture_is_written_even_where_nothing_separates(tmp_path):
    X, y = np.zeros((8, 30)), np.arange(8) % 2
    with pytest.warns(UserWarning, match="distinct"):
        model = LearnedShapelets(**SMALL).fit(X, y)
    plot_shapelets(X, y, model, tmp_path / "shapelets.png")
    with Image.open(tmp_path / "shapelets.png") as image:
        assert image.size[0] > 500


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_learns_the_same():
    X, y = horns()
    here, there = (LearnedShapelets(**SMALL, device=device).fit(X, y).transform(X) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.slow
def test_one_picture_is_drawn_of_the_shapelets_that_several_classifiers_take(tmp_path):
    words = [
        "dataset.n_galaxies=60",
        "fit=none",
        "feature=shapelet",
        "feature.epochs=2",
        "labels=cluster",
        "evaluation.permutations=20",
        "tracking=none",
    ]
    result = train("-m", *words, "classifier=knn,svm", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    pictures = [file.read_bytes() for file in tmp_path.glob("runs/*/*/[01]/plots/shapelets.png")]
    assert len(pictures) == 2
    assert pictures[0] == pictures[1]
    assert len(list(tmp_path.glob("cache/shapelets-*"))) == 1
