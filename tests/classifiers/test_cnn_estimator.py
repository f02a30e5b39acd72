"""The estimator: training, prediction, saliency, and what it refuses."""

import numpy as np
import pytest
import torch
from helpers.networks import ON_A_GPU, SMALL, two_kinds_of_image
from sklearn.base import clone
from sklearn.utils import get_tags

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.classifiers.cnn import training
from hiexp.errors import InputError, PrunedError


def test_it_learns_what_can_be_learned():
    X, y = two_kinds_of_image()
    classifier = CNNClassifier(SMALL, epochs=8, learning_rate=0.01).fit(X, y)
    assert classifier.classes_.tolist() == [3, 7]
    assert classifier.score(X, y) > 0.95
    assert len(classifier.history_["train_loss"]) == 8
    assert classifier.history_["train_loss"][-1] < classifier.history_["train_loss"][0]
    probability = classifier.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[probability.argmax(axis=1)], classifier.predict(X))


@pytest.mark.parametrize("precision", ["auto", "32"])
def test_same_seed_same_network_whatever_came_before(precision):
    X, y = two_kinds_of_image()
    one = CNNClassifier(SMALL, epochs=2, precision=precision).fit(X, y).predict_proba(X)
    torch.rand(17)
    two = CNNClassifier(SMALL, epochs=2, precision=precision).fit(X, y).predict_proba(X)
    other = CNNClassifier(SMALL, epochs=2, precision=precision, seed=1).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_global_random_state_is_left_alone():
    X, y = two_kinds_of_image()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    CNNClassifier(SMALL, epochs=1).fit(X, y)
    assert torch.equal(torch.rand(3), expected)


def test_it_is_a_scikit_learn_classifier_of_images():
    classifier = CNNClassifier(SMALL, epochs=3, learning_rate=0.01)
    assert clone(classifier).get_params() == classifier.get_params()
    assert not get_tags(classifier).input_tags.two_d_array


def test_what_is_neither_image_nor_profile_is_refused():
    with pytest.raises(InputError, match="feature=image2d or feature=raw"):
        CNNClassifier(SMALL).fit(np.zeros((4, 3, 20)), np.array([0, 1, 0, 1]))


def test_profiles_are_learned_and_too_short_ones_refused():
    X, y = two_kinds_of_image()
    profiles = X[:, 0].mean(axis=1)  # brighter in the left or in the right half
    classifier = CNNClassifier(SMALL, epochs=15, learning_rate=0.01).fit(profiles, y)
    assert classifier.score(profiles, y) > 0.95
    assert classifier.network_[0].conv.weight.shape == (4, 1, 3)
    with pytest.raises(InputError, match=r"profiles of 3 samples.*feature\.n_samples"):
        CNNClassifier(SMALL).fit(profiles[:, :3], y)


def test_threads_that_torch_had_before_change_nothing():
    X, y = two_kinds_of_image()
    before, probabilities = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        probabilities.append(CNNClassifier(SMALL, epochs=2).fit(X, y).predict_proba(X))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*probabilities)


def test_the_unit_of_the_pixels_does_not_matter_unless_asked():
    X, y = two_kinds_of_image()
    for standardize in (True, False):
        one, other = (
            CNNClassifier(SMALL, epochs=2, standardize=standardize).fit(unit * X, y).predict_proba(unit * X)
            for unit in (1, 4)  # a power of two: no rounding
        )
        assert np.array_equal(one, other) == standardize


def test_early_stopping_returns_the_best_network():
    X, y = two_kinds_of_image()
    rng = np.random.default_rng(1)
    noise = rng.permutation(y)  # nothing to learn: the validation loss soon rises
    classifier = CNNClassifier(SMALL, epochs=60, learning_rate=0.01, early_stopping=3).fit(X, noise)
    loss = classifier.history_["validation_loss"]
    assert len(loss) < 60
    assert np.argmin(loss) == len(loss) - 4
    assert {name: len(values) for name, values in classifier.history_.items()} == dict.fromkeys(
        ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"), len(loss)
    )
    # The same settings trained to the best epoch alone are the network that was returned.
    best = CNNClassifier(SMALL, epochs=len(loss) - 3, learning_rate=0.01, early_stopping=100).fit(X, noise)
    np.testing.assert_array_equal(classifier.predict_proba(X), best.predict_proba(X))


def test_class_weights_favour_the_rare_class():
    X, y = two_kinds_of_image(200)
    X = np.random.default_rng(0).normal(size=X.shape)  # nothing to see: priors decide
    y = np.where(np.arange(200) < 20, 7, 3)
    rare = [
        CNNClassifier(SMALL, epochs=15, learning_rate=0.01, class_weight=weight)
        .fit(X, y)
        .predict_proba(X)[:, 1]
        .mean()
        for weight in (None, "balanced")
    ]
    assert rare[0] < 0.25 < rare[1]


@pytest.mark.parametrize("dimensions", [1, 2])
def test_saliency_sums_to_the_log_odds_and_finds_what_decides(dimensions):
    X, y = two_kinds_of_image(100)
    X[:, :, :, 3:-3] = 0.3 * np.random.default_rng(0).normal(size=X[:, :, :, 3:-3].shape)  # only the edges tell
    X = X if dimensions == 2 else X[:, 0].mean(axis=1)
    classifier = CNNClassifier(SMALL, epochs=20, learning_rate=0.01).fit(X, y)
    saliency = classifier.saliency(X)
    assert saliency.shape == X.shape

    def log_odds(values):
        p = np.take_along_axis(classifier.predict_proba(values), chosen, axis=1)[:, 0]
        return np.log(p / (1 - p))

    chosen = classifier.predict_proba(X).argmax(axis=1)[:, None]
    expected = log_odds(X) - log_odds(np.zeros_like(X))
    total = saliency.reshape(len(X), -1).sum(axis=1)
    assert np.median(np.abs(total - expected)) < 0.15 * np.median(np.abs(expected))  # of 16 steps
    by_column = np.abs(saliency.reshape(-1, 12)).mean(axis=0)
    assert by_column[[0, 1, 2, 9, 10, 11]].mean() > 2 * by_column[4:8].mean()


def test_a_device_that_is_not_there_is_refused():
    X, y = two_kinds_of_image(8)
    with pytest.raises(InputError, match="device=tpu"):
        CNNClassifier(SMALL, device="tpu").fit(X, y)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device=cuda"):
            CNNClassifier(SMALL, device="cuda").fit(X, y)


@pytest.mark.parametrize(
    ("classifier", "named"),
    [
        (CNNClassifier(SMALL, epochs=0), "epochs=0"),
        (CNNClassifier(SMALL, precision="8"), "precision=8"),
        (CNNClassifier(ConvNet([4], padding="full")), "padding=full"),
        (CNNClassifier(SMALL, threads=0), "threads=0"),
        (CNNClassifier(SMALL, class_weight="rare"), "class_weight=rare"),
        (CNNClassifier(SMALL, early_stopping=0), "early_stopping=0"),
        (CNNClassifier(SMALL, early_stopping=5, validation_fraction=0.1), "early_stopping=5.*validation part"),
        (CNNClassifier(SMALL, validation_fraction=1.5), "validation_fraction=1.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_cannot_be_are_named(classifier, named):
    with pytest.raises(InputError, match=named):
        classifier.fit(*two_kinds_of_image(8))


@ON_A_GPU
def test_cuda_learns_the_same():
    X, y = two_kinds_of_image()
    assert CNNClassifier(SMALL, epochs=8, device="cuda").fit(X, y).score(X, y) > 0.95


@ON_A_GPU
@pytest.mark.parametrize("precision", ["auto", "32"])
def test_a_step_that_is_replayed_is_the_step_itself(monkeypatch, precision):
    X, y = two_kinds_of_image()
    replayed = CNNClassifier(SMALL, epochs=5, precision=precision, device="cuda").fit(X, y)
    monkeypatch.setattr(training, "CudaGraphStep", lambda step: step)
    plain = CNNClassifier(SMALL, epochs=5, precision=precision, device="cuda").fit(X, y)
    assert replayed.history_ == plain.history_
    np.testing.assert_array_equal(replayed.predict_proba(X), plain.predict_proba(X))


@ON_A_GPU
def test_a_gpu_predicts_in_fp32():
    X, y = two_kinds_of_image(size=24)
    classifier = CNNClassifier(ConvNet([32, 64], dense=64), epochs=2).fit(X, y)
    on_cpu, saliency = classifier.predict_proba(X), classifier.set_params(precision="32").saliency(X[:4])
    classifier.set_params(device="cuda")
    np.testing.assert_allclose(classifier.predict_proba(X), on_cpu, atol=2e-6)
    np.testing.assert_allclose(classifier.saliency(X[:4]), saliency, atol=1e-4 * np.abs(saliency).max())


def test_each_epoch_is_told_and_the_training_goes_on_as_if_nobody_had_asked():
    X, y = two_kinds_of_image()
    told = []
    plain = CNNClassifier(SMALL, epochs=3, learning_rate=0.01).fit(X, y)
    watched = CNNClassifier(SMALL, epochs=3, learning_rate=0.01)
    watched.fit(X, y, each_epoch=lambda epoch, probabilities: told.append((epoch, probabilities(X))))
    np.testing.assert_array_equal(plain.predict_proba(X), watched.predict_proba(X))
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    np.testing.assert_array_equal(told[-1][1], watched.predict_proba(X))
    assert not np.array_equal(told[0][1], told[-1][1])


def test_what_is_told_of_an_epoch_may_end_the_training():
    def stop(epoch, probabilities):
        if epoch == 2:
            raise PrunedError("enough")

    X, y = two_kinds_of_image()
    with pytest.raises(PrunedError, match="enough"):
        CNNClassifier(SMALL, epochs=5).fit(X, y, each_epoch=stop)
