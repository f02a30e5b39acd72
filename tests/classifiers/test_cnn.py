import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils import get_tags
from torch.nn import functional

from hiexp.classifiers import CNNClassifier, ConvNet, training
from hiexp.classifiers.fused import dropped, first_block, rectified_normalised_pooled
from hiexp.errors import InputError

SMALL = ConvNet(filters=[4, 8], padding="same", dense=16)
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


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


@pytest.mark.parametrize(
    ("size", "trimming"), [(64, [1, 1, 1, 1, 0]), (32, [0, 0, 0, 0, 0]), (94, [1, 1, 1, 1, 1])], ids=str
)
def test_blocks_trim_where_the_blocks_behind_them_have_enough_left(size, trimming):
    network = ConvNet([4] * 5).build((1, size, size), 3)
    assert [block.conv.padding == "valid" for block in network[:5]] == [bool(trims) for trims in trimming]
    assert network.eval()(torch.zeros(1, 1, size, size)).shape == (1, 3)


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


@given(
    n=st.integers(2, 4),
    sides=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    channels=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30)
def test_a_block_in_one_pass_is_its_layers_one_by_one(n, sides, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    norm = torch.nn.BatchNorm2d(channels)
    for parameter in norm.parameters():  # slopes of both signs
        parameter.data = torch.randn(channels, generator=generator)
    layers = torch.nn.BatchNorm2d(channels)
    layers.load_state_dict(norm.state_dict())
    maps = torch.randn(n, channels, *sides, generator=generator).requires_grad_()
    same = maps.detach().clone().requires_grad_()
    one, by_layers = rectified_normalised_pooled(maps, norm, 0.0), functional.max_pool2d(layers(same.relu()), 2)
    torch.testing.assert_close(one, by_layers, rtol=1e-4, atol=1e-4)
    gradient = torch.randn(one.shape, generator=generator)
    one.backward(gradient)
    by_layers.backward(gradient)
    scale = float(same.grad.abs().max())  # where hardly anything varies, batch norm blows rounding errors up
    torch.testing.assert_close(maps.grad, same.grad, rtol=1e-3, atol=1e-3 * scale + 1e-5)
    for got, expected in zip(norm.parameters(), layers.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(norm.state_dict(), layers.state_dict(), rtol=1e-4, atol=1e-4)


@given(
    n=st.integers(2, 4),
    sides=st.tuples(st.integers(2, 6), st.integers(2, 6)).map(lambda halves: [2 * half for half in halves]),
    filters=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30)
def test_a_first_block_in_two_passes_is_its_layers_one_by_one(n, sides, filters, seed):
    torch.manual_seed(seed)
    conv, norm = torch.nn.Conv2d(1, filters, 3), torch.nn.BatchNorm2d(filters)
    for parameter in norm.parameters():
        parameter.data = torch.randn(filters)
    images, results, gradients = torch.randn(n, 1, *sides), [], []
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    for block in (
        lambda: functional.max_pool2d(norm(conv(images).relu()), 2),
        lambda: first_block(images, conv, norm, 0.0),
    ):
        norm.load_state_dict(state)
        results.append(block())
        parameters = [*conv.parameters(), *norm.parameters()]
        gradients.append([*torch.autograd.grad((results[-1] ** 3).sum(), parameters), norm.running_var.clone()])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)
    for expected, got in zip(*gradients, strict=True):
        # Where hardly anything varies, batch norm blows rounding errors up.
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-4)


@pytest.mark.parametrize(("side", "padding"), [(6, "valid"), (2, "same")])
def test_the_convolution_of_a_small_map_has_the_gradients_of_any_other(side, padding):
    torch.manual_seed(0)
    block = ConvNet([8], padding=padding, conv_dropout=0.0, dense=4).build((12, side, side), 2)[0]
    images, gradients = torch.randn(5, 12, side, side, requires_grad=True), []
    for convolved in (block._convolved, block.conv):
        result = convolved(images)
        gradients.append(torch.autograd.grad((result**3).sum(), [images, block.conv.weight, block.conv.bias]))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (128,)], ids=["images", "profiles"])
def test_pixels_that_no_pooling_takes_are_left_out(size):
    network = ConvNet([4, 8, 8], dense=8).build((1, *size), 3).eval()
    seen = network[0].seen
    assert [*seen] == [side - 2 for side in size]
    images = torch.rand(2, 1, *size)
    other = torch.rand(2, 1, *size)
    other[(..., *map(slice, seen))] = images[(..., *map(slice, seen))]
    assert torch.equal(network(images), network(other))
    network[0].seen = None  # they change nothing that is predicted
    torch.testing.assert_close(network(images), network(other))
    other[..., seen[-1] - 1] += 10 * torch.randn(other.shape[:-1])  # the last ones seen do
    assert not torch.allclose(network(images), network(other))


@pytest.mark.parametrize("signs", [(1,), (1, -1)], ids=["rising", "rising and falling"])
@pytest.mark.parametrize("size", [(2, 9, 8), (1, 8, 6), (2, 9)], ids=["images", "one channel", "profiles"])
def test_a_block_that_predicts_gives_what_its_layers_give(size, signs):
    generator = torch.Generator().manual_seed(0)
    block = ConvNet([8], padding="same", dense=4).build(size, 2)[0].eval()
    block.norm.weight.data = torch.rand(8, generator=generator) * torch.tensor(signs * (8 // len(signs)))
    block.norm.bias.data = torch.randn(8, generator=generator)
    block.norm.running_mean = torch.randn(8, generator=generator)
    images = torch.randn(5, *size, generator=generator)
    for without_gradients in (True, False):
        with torch.inference_mode(without_gradients):
            rectified = functional.relu(block.conv(images))
            torch.testing.assert_close(block(images), block.pool(block.norm(rectified)))
    by_layers = torch.autograd.grad(block.pool(block.norm(rectified)).sum(), block.norm.weight)
    torch.testing.assert_close(torch.autograd.grad(block(images).sum(), block.norm.weight), by_layers)


def test_a_block_in_bf16_is_the_one_in_fp32_within_its_precision():
    maps = torch.randn(8, 16, 13, 13, generator=torch.Generator().manual_seed(0))
    gradients, results = [], []
    for kind in (torch.float32, torch.bfloat16):
        given_maps = maps.bfloat16().to(kind).requires_grad_()
        result = rectified_normalised_pooled(given_maps, torch.nn.BatchNorm2d(16), 0.0)
        assert result.dtype == kind
        result.backward(torch.ones_like(result) * result.detach())
        results.append(result.float())
        gradients.append(given_maps.grad.float())
    torch.testing.assert_close(*results, rtol=1 / 256, atol=1e-3)
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.02)


def test_dropout_drops_its_share_and_keeps_the_mean():
    ones = torch.ones(4, 64, 32, 32)
    torch.manual_seed(0)
    kept = dropped(ones, 0.25)
    assert float((kept == 0).double().mean()) == pytest.approx(0.25, abs=0.005)
    assert float(kept.mean()) == pytest.approx(1, abs=0.005)
    norm = torch.nn.BatchNorm2d(64)
    norm.bias.data += 1  # batch norm's result is 1 everywhere
    pooled = rectified_normalised_pooled(ones, norm, 0.25).detach()
    assert float((pooled == 0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(pooled.max()) == pytest.approx(4 / 3, rel=1e-4)
    # The gradient goes where the value came from.
    pooled = rectified_normalised_pooled(ones, norm, 0.25)
    pooled.sum().backward()
    assert float(norm.bias.grad.sum()) == pytest.approx(float(pooled.detach().sum()), rel=1e-5)


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
    assert np.median(np.abs(total - expected)) < 0.05 * np.median(np.abs(expected))
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
