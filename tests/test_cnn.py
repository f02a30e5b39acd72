import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import get_tags

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.errors import InputError

SMALL = ConvNet(filters=[4, 8], dense=16)


def two_kinds_of_image(n=65, size=12):
    """Noise with a bright left or a bright right half; 65 images make two batches of 32 and an odd one."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    X = rng.normal(0, 0.3, (n, 1, size, size)).astype(np.float32)
    X[y == 0, :, :, : size // 2] += 1
    X[y == 1, :, :, size // 2 :] += 1
    return X, np.where(y, 7, 3)


def test_it_learns_what_can_be_learned():
    X, y = two_kinds_of_image()
    classifier = CNNClassifier(SMALL, epochs=8).fit(X, y)
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


@pytest.mark.parametrize(
    ("filters", "parameters"),
    # Counted by hand from the published description for 128 x 128 x 3, 'valid': convolutions (9 x in + 1) x out,
    # batch norms 2 x out, dense layers (in + 1) x out.
    [([32, 64, 128], 12_941_827), ([32, 64, 128, 256], 5_111_043), ([32, 64, 128, 256, 512], 2_622_211)],
)
def test_the_published_networks_have_their_number_of_weights(filters, parameters):
    network = ConvNet(filters, padding="valid").build((3, 128, 128), 3)
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    assert network.eval()(torch.zeros(2, 3, 128, 128)).shape == (2, 3)


def test_images_too_small_for_the_network_are_refused():
    X, y = two_kinds_of_image(size=6)
    with pytest.raises(InputError, match=r"6 x 6 pixels.*feature\.size"):
        CNNClassifier(ConvNet(filters=[4, 8], padding="valid")).fit(X, y)


def test_profiles_are_refused():
    with pytest.raises(InputError, match="feature=image2d"):
        CNNClassifier(SMALL).fit(np.zeros((4, 20)), np.array([0, 1, 0, 1]))


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
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_cannot_be_are_named(classifier, named):
    with pytest.raises(InputError, match=named):
        classifier.fit(*two_kinds_of_image(8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_learns_the_same():
    X, y = two_kinds_of_image()
    assert CNNClassifier(SMALL, epochs=8, device="cuda").fit(X, y).score(X, y) > 0.95
