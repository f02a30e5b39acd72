import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.estimator_checks import estimator_checks_generator

from hiexp.errors import InputError
from hiexp.features import DiscImage, RawProfile, unit_range

profiles = arrays(np.float64, (3, 64), elements=st.floats(-50, 50, width=32))


@given(profiles, st.floats(0.01, 100), st.floats(-100, 100))
def test_unit_range_ignores_scale_and_offset(x, scale, offset):
    spans = np.ptp(x, axis=1)
    unit = unit_range(x)
    assert np.all((unit >= 0) & (unit <= 1))
    assert np.all(unit[spans == 0] == 0)
    wide = spans > 1e-3
    np.testing.assert_allclose(unit_range(scale * x + offset)[wide], unit[wide], atol=1e-6)


@pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.func.__name__) for _, check in estimator_checks_generator(RawProfile())]
)
def test_raw_profile_is_a_scikit_learn_transformer(check):
    check(RawProfile())


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


def test_the_disc_has_no_holes():
    image = DiscImage(kind="whole", size=128, quarter=False).fit_transform(1 + gaussian_profile(40))[0, 0]
    side = np.abs(np.linspace(-1, 1, 129)[:-1] + 1 / 128)
    inside = np.hypot(*np.meshgrid(side, side)) < 0.9
    assert image[inside].min() > 0


@given(profiles, st.sampled_from(["whole", "difference", "rescaled_difference"]))
def test_a_quarter_is_the_corner_of_the_disc(x, kind):
    full = DiscImage(kind=kind, size=24, quarter=False).fit_transform(x)
    quarter = DiscImage(kind=kind, size=12, quarter=True).fit_transform(x)
    np.testing.assert_allclose(full[:, :, 12:, 12:], quarter, atol=1e-5)
    np.testing.assert_allclose(full, full[:, :, ::-1, ::-1], atol=1e-5)


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
