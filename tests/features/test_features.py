import numpy as np
import pytest
from helpers.commands import only_run
from helpers.configuration import configured
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.base import clone
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from hiexp.errors import InputError
from hiexp.features import DiscImage, Flatten, ImageStatistics, ProfileAsymmetry, RawProfile, unit_range
from hiexp.run.model_files import load_model, save_model
from hiexp.run.pipeline import extract, learn

profiles = arrays(np.float64, (3, 64), elements=st.floats(-50, 50, width=32))


@given(profiles, st.floats(0.01, 100), st.floats(-100, 100))
def test_unit_range_ignores_scale_and_offset(x, scale, offset):
    spans = np.ptp(x, axis=1)
    unit = unit_range(x)
    assert np.all((unit >= 0) & (unit <= 1))
    assert np.all(unit[spans == 0] == 0)
    wide = spans > 1e-3
    np.testing.assert_allclose(unit_range(scale * x + offset)[wide], unit[wide], atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"n_samples": 5}], ids=["all samples", "five"])
@pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.func.__name__) for _, check in estimator_checks_generator(RawProfile())]
)
def test_raw_profile_is_a_scikit_learn_transformer(check, settings):
    check(RawProfile(**settings))


@given(
    st.integers(2, 200),
    st.integers(2, 60),
    st.floats(-100, 100),
    st.floats(-100, 100),
)
def test_fewer_samples_of_a_straight_line_are_a_straight_line(n, n_samples, start, end):
    few = RawProfile(scaling="none", n_samples=n_samples).fit_transform(np.linspace(start, end, n)[None])[0]
    middles = (np.arange(n_samples) + 0.5) / n_samples
    np.testing.assert_allclose(few, start + (end - start) * middles, atol=1e-9)


@given(arrays(np.float64, 9, elements=st.floats(-50, 50)), st.integers(2, 20))
def test_a_sample_of_few_is_the_mean_over_its_bin(profile, n_samples):
    few = RawProfile(scaling="none", n_samples=n_samples).fit_transform(profile[None])[0]
    fine = (np.arange(8 * n_samples * 50) + 0.5) / (n_samples * 50)
    dense = np.interp(fine, np.arange(9), profile).reshape(n_samples, -1).mean(axis=1)
    np.testing.assert_allclose(few, dense, atol=0.02)
    # What is averaged is the integral: the mean of all of them is that of the profile.
    assert few.mean() == pytest.approx(np.trapezoid(profile) / 8, abs=1e-10)


def test_fewer_samples_are_scaled_to_the_whole_range():
    few = RawProfile(n_samples=10).fit_transform(gaussian_profile())
    assert (few.shape, few.min(), few.max()) == ((1, 10), 0, 1)


@pytest.mark.parametrize("n_samples", [1, 0, -3, 2.5, "ten", True])
def test_a_wrong_number_of_samples_is_named(n_samples):
    with pytest.raises(InputError, match=f"n_samples={n_samples}"):
        RawProfile(n_samples=n_samples).fit(gaussian_profile())


def gaussian_profile(n=501, width=0.25):
    return np.exp(-0.5 * (np.linspace(-1, 1, n) / width) ** 2)[None]


def test_pixels_are_exact_in_radius():
    """A profile that is linear in velocity gives an image linear in radius, to rounding."""
    size = 32
    ramp = np.linspace(0, 1, 200)[None]
    image = DiscImage(kind="whole", size=size, quarter=True).fit_transform(ramp)[0, 0]
    centres = (np.arange(size) + 0.5) / size
    radius = np.hypot(*np.meshgrid(centres, centres))
    np.testing.assert_allclose(image[radius <= 1], radius[radius <= 1], atol=1e-6)
    assert np.all(image[radius > 1] == 0)


@given(st.integers(2, 40), st.booleans())
def test_the_disc_has_no_holes(size, quarter):
    """Every pixel whose centre is inside the disc has a value, and no other, at any odd or even size."""
    image = DiscImage(kind="whole", size=size, quarter=quarter).fit_transform(np.array([[0.0, 1, 1, 1, 1, 1]]))[0, 0]
    centres = (np.arange(size) + 0.5) / size if quarter else (2 * np.arange(size) + 1 - size) / size
    radius = np.hypot(*np.meshgrid(centres, centres))
    np.testing.assert_allclose(image, np.where(radius < 1, np.minimum(5 * radius, 1), 0), atol=1e-6)


@given(profiles, st.sampled_from(["whole", "difference", "rescaled_difference"]), st.integers(2, 20))
def test_a_disc_is_its_quarter_mirrored(x, kind, size):
    quarter = DiscImage(kind=kind, size=size).fit_transform(x)
    half = np.concatenate([quarter[..., ::-1], quarter], axis=-1)
    disc = DiscImage(kind=kind, size=2 * size, quarter=False).fit_transform(x)
    np.testing.assert_allclose(disc, np.concatenate([half[..., ::-1, :], half], axis=-2), atol=1e-6)


@given(profiles)
def test_reversing_velocity_flips_the_sign_of_the_difference(x):
    feature = DiscImage(kind="difference", size=12)
    np.testing.assert_allclose(feature.fit_transform(x[:, ::-1]), -feature.fit_transform(x), atol=1e-6)


def test_a_symmetric_profile_leaves_no_difference():
    image = DiscImage(kind="difference", size=16).fit_transform(gaussian_profile())
    np.testing.assert_allclose(image, 0, atol=1e-6)


def test_difference_is_positive_where_the_high_velocity_side_is_brighter():
    profile = gaussian_profile() * np.linspace(0.5, 1.5, 501)
    image = DiscImage(kind="difference", size=16).fit_transform(profile)[0, 0]
    assert image[4, 4] > 0.1


def test_colours_are_those_of_the_colour_map():
    from matplotlib import colormaps

    grey = DiscImage(kind="difference", size=8).fit_transform(gaussian_profile() * np.linspace(0.5, 1.5, 501))
    rgb = DiscImage(kind="difference", size=8, colormap="RdBu").fit_transform(
        gaussian_profile() * np.linspace(0.5, 1.5, 501)
    )
    assert rgb.shape == (1, 3, 8, 8)
    np.testing.assert_allclose(rgb[0, :, 3, 3], colormaps["RdBu"]((grey[0, 0, 3, 3] + 1) / 2)[:3], atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"kind": "spiral"}, "kind=spiral"), ({"size": 1}, "size=1"), ({"colormap": "mauve"}, "colormap=mauve")],
)
def test_wrong_settings_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        DiscImage(**settings).fit(gaussian_profile())


def test_wrong_scaling_is_named():
    with pytest.raises(InputError, match="scaling=log"):
        RawProfile(scaling="log").fit(gaussian_profile())


@pytest.mark.parametrize("colormap", [None, "RdBu"])
def test_images_do_not_depend_on_their_neighbours(colormap):
    """More profiles than are worked on at a time give what each gives alone."""
    x = np.random.default_rng(0).normal(size=(150, 30))
    feature = DiscImage(size=9, colormap=colormap)
    images = feature.fit_transform(x)
    assert (images.dtype, images.shape) == (np.float32, (150, 1 if colormap is None else 3, 9, 9))
    for row in (0, 63, 64, 149):
        np.testing.assert_array_equal(images[row], feature.transform(x[[row]])[0])


@pytest.mark.parametrize(
    "feature",
    [RawProfile(), DiscImage(size=4), ProfileAsymmetry(), ImageStatistics(DiscImage(size=4)), Flatten()],
    ids=lambda feature: type(feature).__name__,
)
def test_what_learns_nothing_needs_no_fit(feature):
    x = np.random.default_rng(0).normal(size=(5, 12))
    assert not get_tags(feature).requires_fit
    np.testing.assert_array_equal(clone(feature).transform(x), clone(feature).fit(x).transform(x))


def statistics(x, **settings):
    feature = ImageStatistics(DiscImage(**settings))
    return dict(zip(feature.get_feature_names_out(), feature.fit_transform(x).T, strict=True))


@given(profiles, st.sampled_from(["whole", "difference", "rescaled_difference"]), st.booleans())
def test_statistics_of_any_image_are_finite(x, kind, quarter):
    found = statistics(x, kind=kind, size=12, quarter=quarter)
    assert all(np.isfinite(values).all() for values in found.values())
    assert np.all((found["gini"] >= -1e-12) & (found["gini"] <= 1))
    assert np.all((found["minimum"] <= found["mean"] + 1e-9) & (found["mean"] <= found["maximum"] + 1e-9))


@pytest.mark.parametrize("kind", ["whole", "difference"])
def test_statistics_are_of_the_pixels_inside_the_disc(kind):
    rng = np.random.default_rng(0)
    x, size = rng.normal(size=(70, 40)), 15
    found = statistics(x, kind=kind, size=size)
    centres = (np.arange(size) + 0.5) / size
    inside = np.hypot(*np.meshgrid(centres, centres)) <= 1
    pixels = DiscImage(kind=kind, size=size).fit_transform(x)[:, 0, inside].astype(float)
    magnitude = np.abs(pixels)
    pairs = np.abs(magnitude[:, :, None] - magnitude[:, None]).sum(axis=(1, 2))
    n = pixels.shape[1]
    expected = {
        "mean": pixels.mean(axis=1),
        "standard_deviation": pixels.std(axis=1),
        "skewness": stats.skew(pixels, axis=1),
        "kurtosis": stats.kurtosis(pixels, axis=1),
        "gini": pairs / (2 * n * (n - 1) * magnitude.mean(axis=1)),  # half the relative mean difference of all pairs
        "minimum": pixels.min(axis=1),
        "maximum": pixels.max(axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_concentration_is_that_of_the_light():
    flat = np.concatenate([[0.0], np.ones(999)])[None]
    narrow = np.concatenate([np.ones(300), np.zeros(700)])[None]
    uniform = 5 * np.log10(
        2
    )  # a disc of one value has a fifth of its light within sqrt(0.2), four fifths in sqrt(0.8)
    for x in (flat, narrow):
        assert statistics(x, kind="whole", size=256)["concentration"] == pytest.approx(uniform, abs=0.05)
    peaked = 1 / (0.05 + np.linspace(0, 1, 1000)[None])
    assert statistics(peaked, kind="whole")["concentration"] > uniform + 0.3


def test_an_image_without_structure_has_plain_statistics():
    found = statistics(gaussian_profile(), kind="difference", size=16)
    assert found.pop("concentration") == pytest.approx(5 * np.log10(2), abs=0.3)
    np.testing.assert_allclose(list(found.values()), 0, atol=1e-12)


def test_statistics_of_colours_are_refused():
    with pytest.raises(InputError, match=r"colormap=RdBu.*null"):
        ImageStatistics(DiscImage(colormap="RdBu")).fit(gaussian_profile())


@pytest.mark.parametrize(("name", "width"), [("asymmetry", 9), ("image_asymmetry", 17)])
def test_numbers_side_by_side_by_yaml_alone(name, width, tmp_path):
    feature = clone(configured("feature", name))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 60)), rng.integers(0, 2, 40)
    numbers = feature.fit_transform(x)
    assert numbers.shape == (40, width) == (40, len(feature.get_feature_names_out()))
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-9)
    model = learn(extract(feature, x, np.arange(len(x)), y), SVC(), np.arange(len(x)), y)
    save_model(model, tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict(x), model.predict(x))


@pytest.mark.slow
def test_an_experiment_on_image_and_profile_numbers(hiexp_train, tmp_path):
    words = ("dataset.n_galaxies=60", "feature=image_asymmetry", "classifier=random_forest", "tracking=none")
    hiexp_train(*words)
    run = only_run(tmp_path)
    assert (run / "model" / "pipeline.skops").is_file()
    assert len((run / "predictions.csv").read_text().splitlines()) == 61
