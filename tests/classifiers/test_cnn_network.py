"""The networks, and their faster ways, which are held to the layers one by one."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.networks import two_kinds_of_image
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.classifiers.cnn import fast, fused
from hiexp.classifiers.cnn.block import Block
from hiexp.errors import InputError


def block_and_images(dimensions, channels, filters, padding, sides, seed):
    """Return a block whose batch norms have slopes of both signs and statistics of their own, and three images."""
    torch.manual_seed(seed)
    block = Block(channels, filters, dimensions, padding, dropout=0.0)
    block.norm.weight.data, block.norm.bias.data = torch.randn(2, filters)
    block.norm.running_mean, block.norm.running_var = torch.randn(filters), torch.rand(filters) + 0.1
    return block, torch.randn(3, channels, *sides[:dimensions])


def gradients_of(block, images, maps, gradient):
    """Return the gradients of a block's parameters and, where there is one, of the images."""
    wanted = [*block.parameters(), *([images] if images.requires_grad else [])]
    return torch.autograd.grad(maps, wanted, gradient)


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False], ids=["training", "predicting"])
@given(
    dimensions=st.sampled_from([1, 2]),
    channels=st.sampled_from([1, 2, 3, 5, 20]),
    filters=st.integers(1, 40),
    padding=st.sampled_from(["same", "valid"]),
    sides=st.tuples(st.integers(2, 11), st.integers(2, 11)),
    of_images=st.booleans(),
    seed=st.integers(0, 1000),
)
@example(dimensions=2, channels=1, filters=8, padding="valid", sides=(10, 8), of_images=False, seed=0)  # first block
@example(dimensions=2, channels=1, filters=8, padding="same", sides=(10, 8), of_images=True, seed=0)  # saliency of it
@example(dimensions=2, channels=1, filters=8, padding="valid", sides=(9, 8), of_images=False, seed=0)  # an odd side
@example(dimensions=2, channels=3, filters=8, padding="valid", sides=(11, 10), of_images=False, seed=0)  # few taps
@example(dimensions=2, channels=20, filters=8, padding="valid", sides=(10, 11), of_images=True, seed=0)  # many
@example(dimensions=2, channels=20, filters=8, padding="valid", sides=(6, 6), of_images=True, seed=0)  # few pixels
@example(dimensions=2, channels=20, filters=8, padding="same", sides=(2, 2), of_images=True, seed=0)
@example(dimensions=1, channels=1, filters=8, padding="valid", sides=(11, 11), of_images=False, seed=0)  # profiles
@settings(max_examples=60)
def test_the_faster_way_through_a_block_is_its_layers(
    training, dimensions, channels, filters, padding, sides, of_images, seed
):
    assume(padding == "same" or min(sides) >= 4)
    block, images = block_and_images(dimensions, channels, filters, padding, sides, seed)
    plain = deepcopy(block.train(training))
    images.requires_grad_(of_images)
    maps, by_layers = fast.forward(block, images), plain.layers(images)
    torch.testing.assert_close(maps, by_layers, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(block.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-4)
    gradient = torch.randn(maps.shape)
    of_both = (gradients_of(one, images, m, gradient) for one, m in ((block, maps), (plain, by_layers)))
    for got, expected in zip(*of_both, strict=True):
        # Where hardly anything varies, batch norm blows rounding errors up.
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-3)
    with torch.inference_mode(not training):  # the first block can be fused if no gradient is asked for
        torch.testing.assert_close(block(images.detach()), plain.layers(images.detach()), rtol=1e-4, atol=1e-4)


def test_a_training_by_the_layers_alone_is_the_same_but_for_rounding(monkeypatch):
    X, y = two_kinds_of_image(size=20)
    network = ConvNet([4, 8, 40], dense=16, conv_dropout=0.0, dense_dropout=0.0)
    classifier = CNNClassifier(network, epochs=4, learning_rate=0.01, precision="32").fit(X, y)
    history, probabilities, saliency = classifier.history_, classifier.predict_proba(X), classifier.saliency(X[:5])
    monkeypatch.setattr(fast, "forward", lambda block, images: None)
    np.testing.assert_allclose(classifier.predict_proba(X), probabilities, atol=1e-5)
    np.testing.assert_allclose(classifier.saliency(X[:5]), saliency, atol=1e-4 * np.abs(saliency).max())
    classifier.fit(X, y)
    np.testing.assert_allclose(classifier.history_["train_loss"], history["train_loss"], rtol=1e-3)
    np.testing.assert_allclose(classifier.predict_proba(X), probabilities, atol=1e-3)
    assert classifier.history_ != history  # the faster ways, which round otherwise, had been taken


def test_a_gpu_trains_by_the_layers():
    block = Block(1, 4, 2, "same", dropout=0.25).to("meta")  # a device that is no CPU, wherever the tests run
    assert fast.forward(block, torch.empty(2, 1, 8, 8, device="meta")) is None
    assert block(torch.empty(2, 1, 8, 8, device="meta")).shape == (2, 4, 4, 4)


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


@pytest.mark.parametrize("size", [(64, 64), (128,)], ids=["images", "profiles"])
def test_pixels_that_no_pooling_takes_are_left_out(size):
    network = ConvNet([4, 8, 8], dense=8).build((1, *size), 3).eval()
    crop = network[0].crop
    assert [*crop] == [side - 2 for side in size]
    images = torch.rand(2, 1, *size)
    other = torch.rand(2, 1, *size)
    other[(..., *map(slice, crop))] = images[(..., *map(slice, crop))]
    assert torch.equal(network(images), network(other))
    network[0].crop = None  # they change nothing that is predicted
    torch.testing.assert_close(network(images), network(other))
    other[..., crop[-1] - 1] += 10 * torch.randn(other.shape[:-1])  # the last ones seen do
    assert not torch.allclose(network(images), network(other))


def test_a_block_in_bf16_is_the_one_in_fp32_within_its_precision():
    maps = torch.randn(8, 16, 13, 13, generator=torch.Generator().manual_seed(0))
    gradients, results = [], []
    for kind in (torch.float32, torch.bfloat16):
        given_maps = maps.bfloat16().to(kind).requires_grad_()
        result = fused.relu_norm_pool_dropout(given_maps, torch.nn.BatchNorm2d(16), 0.0)
        assert result.dtype == kind
        result.backward(torch.ones_like(result) * result.detach())
        results.append(result.float())
        gradients.append(given_maps.grad.float())
    torch.testing.assert_close(*results, rtol=1 / 256, atol=1e-3)
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.02)


def test_dropout_drops_its_share_and_keeps_the_mean():
    ones = torch.ones(4, 64, 32, 32)
    torch.manual_seed(0)
    kept = fused.dropout(ones, 0.25)
    assert float((kept == 0).double().mean()) == pytest.approx(0.25, abs=0.005)
    assert float(kept.mean()) == pytest.approx(1, abs=0.005)
    norm = torch.nn.BatchNorm2d(64)
    norm.bias.data += 1  # batch norm's result is 1 everywhere
    pooled = fused.relu_norm_pool_dropout(ones, norm, 0.25).detach()
    assert float((pooled == 0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(pooled.max()) == pytest.approx(4 / 3, rel=1e-4)
    # The gradient goes where the value came from.
    pooled = fused.relu_norm_pool_dropout(ones, norm, 0.25)
    pooled.sum().backward()
    assert float(norm.bias.grad.sum()) == pytest.approx(float(pooled.detach().sum()), rel=1e-5)
