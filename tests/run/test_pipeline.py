"""Feature and classifier in one pipeline: what each is fitted on, and what is refused."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hiexp.errors import InputError
from hiexp.features import DiscImage, RawProfile
from hiexp.run.pipeline import Features, extract, learn, learned_from, predict

TRAINING = np.arange(0, 40, 2)
CLASSES = np.repeat([3, 7], 20)


@pytest.fixture
def profiles():
    bump = np.exp(-0.5 * (np.arange(32) - 10 - 12 * (CLASSES[:, None] == 7)) ** 2 / 9)
    return bump + np.random.default_rng(0).normal(0, 0.05, (40, 32))


@pytest.mark.parametrize("spoiled", [np.inf, 1e9])
def test_nothing_is_learned_from_objects_held_out(profiles, spoiled):
    features = extract(StandardScaler(), profiles, TRAINING, CLASSES)
    model = learn(features, KNeighborsClassifier(3), TRAINING, CLASSES)
    changed, relabelled = profiles.copy(), CLASSES.copy()
    held_out = np.setdiff1d(np.arange(40), TRAINING)
    changed[held_out] = min(spoiled, 1e9)
    relabelled[held_out] = 99
    again = extract(StandardScaler(), changed, TRAINING, relabelled)
    np.testing.assert_array_equal(again.transformer.mean_, features.transformer.mean_)
    same = learn(again, KNeighborsClassifier(3), TRAINING, relabelled)
    np.testing.assert_array_equal(same.predict(profiles), model.predict(profiles))


def test_images_are_laid_out_for_classifiers_of_rows_and_the_pipeline_takes_profiles(profiles):
    features = extract(DiscImage(size=8), profiles, TRAINING, CLASSES)
    assert features.values.ndim == 4
    model = learn(features, RandomForestClassifier(10, random_state=0), TRAINING, CLASSES)
    assert list(model.named_steps) == ["feature", "flatten", "classifier"]
    predicted, probability = predict(model, features)
    np.testing.assert_array_equal(model.predict(profiles), predicted)
    np.testing.assert_allclose(model.predict_proba(profiles), probability)
    assert np.mean(predicted == CLASSES) > 0.9


def test_classes_are_the_classifiers_own_unless_it_says_that_they_follow_from_probabilities(profiles):
    class Stubborn(KNeighborsClassifier):
        def predict(self, X):
            return np.full(len(X), 7)

    features = extract(RawProfile(n_samples=16), profiles, TRAINING, CLASSES)
    predicted, probability = predict(learn(features, Stubborn(3), TRAINING, CLASSES), features)
    assert set(predicted) == {7}
    assert probability.shape == (40, 2)
    asked_once = Stubborn(3)
    asked_once.predicts_most_probable = True
    predicted, probability = predict(learn(features, asked_once, TRAINING, CLASSES), features)
    np.testing.assert_array_equal(predicted, np.array([3, 7])[probability.argmax(axis=1)])
    assert predict(learn(features, SVC(), TRAINING, CLASSES), features)[1] is None


def test_what_a_feature_learns_from_is_part_of_its_key(profiles):
    assert learned_from(RawProfile(), TRAINING, CLASSES) == ()
    rows, classes = learned_from(StandardScaler(), TRAINING, CLASSES)
    np.testing.assert_array_equal(rows, TRAINING)
    np.testing.assert_array_equal(classes, CLASSES[TRAINING])


def test_refusals_are_named(profiles):
    features = extract(RawProfile(n_samples=16), profiles, TRAINING, CLASSES)
    with pytest.raises(InputError, match=r"all 20 training objects are of one class \(\[3\]\)"):
        learn(features, KNeighborsClassifier(3), TRAINING, np.full(40, 3))
    with pytest.raises(InputError, match="MultinomialNB refuses the 20 objects it was given: Negative values"):
        learn(Features(StandardScaler(), profiles - 5), MultinomialNB(), TRAINING, CLASSES)
    with pytest.raises(InputError, match=r"StandardScaler refuses the 20 objects it was given: .*infinity"):
        extract(StandardScaler(), np.full_like(profiles, np.inf), TRAINING, CLASSES)


def test_features_are_kept_without_pickle(profiles, tmp_path):
    kept = extract(StandardScaler(), profiles, TRAINING, CLASSES)
    kept.save(tmp_path)
    assert not list(tmp_path.glob("*.pkl"))
    found = Features.load(tmp_path)
    np.testing.assert_array_equal(found.values, kept.values)
    np.testing.assert_array_equal(found.transformer.transform(profiles), kept.values)
