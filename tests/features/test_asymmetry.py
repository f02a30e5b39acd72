import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import erf, erfinv
from sklearn.utils.estimator_checks import estimator_checks_generator

from hiexp.datasets import read_alfalfa
from hiexp.errors import InputError
from hiexp.features import ProfileAsymmetry
from hiexp.fitting import fit_busy, fit_none
from hiexp.spectral.widths import flux_asymmetry

RATIOS = ["A_flux", "peak_ratio", "W20_W50", "A_F", "A_C", "C_V"]


def measure(profiles, **settings):
    feature = ProfileAsymmetry(**settings)
    return dict(zip(feature.get_feature_names_out(), feature.fit_transform(np.atleast_2d(profiles)).T, strict=True))


def gaussian(n=1000, centre=0.0, width=1 / 6):
    return np.exp(-0.5 * ((np.linspace(-1, 1, n) - centre) / width) ** 2)


@st.composite
def lines(draw):
    """A line of one or two horns on a slope, its profile smooth and of any width and position."""
    velocity = np.linspace(-1, 1, draw(st.sampled_from([150, 301])))
    centre, width = draw(st.floats(-0.3, 0.3)), draw(st.floats(0.1, 0.6))
    heights = draw(st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)))
    horns = [
        height * np.exp(-0.5 * ((velocity - centre - side * width / 2) / (width / 4)) ** 2)
        for height, side in zip(heights, (-1, 1), strict=True)
    ]
    return sum(horns)


@pytest.mark.parametrize(
    "check",
    [pytest.param(check, id=check.func.__name__) for _, check in estimator_checks_generator(ProfileAsymmetry())],
)
def test_it_is_a_scikit_learn_transformer(check):
    check(ProfileAsymmetry())


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=40),
        elements=st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-1.0, 0.0, 1.0]),
    ),
    st.floats(1.5, 100),
)
def test_any_finite_profile_has_finite_and_bounded_measures(profiles, limit):
    found = measure(profiles, limit=limit)
    assert all(np.isfinite(values).all() for values in found.values())
    for name in RATIOS:
        assert np.all((found[name] >= 1) & (found[name] <= limit)), name
    assert np.all(np.abs(found["centroid_offset"]) <= 0.5)
    assert np.all((found["residual"] >= 0) & (found["residual"] <= 2))
    assert np.all(np.abs(found["K"]) <= 0.5)


@pytest.mark.parametrize(
    "profile",
    [np.zeros(50), np.full(50, 3.0), np.full(50, -3.0), -gaussian(50), gaussian(50) - 5, np.full(50, 5e-324)],
    ids=["zero", "constant", "negative", "absorption", "below zero", "smallest number"],
)
def test_a_profile_without_a_line_is_a_box(profile):
    found = measure(profile)
    assert found.pop("C_V") == pytest.approx(3.4, abs=1e-12)
    assert {name: float(values[0]) for name, values in found.items()} == pytest.approx(
        {name: 1.0 if name in RATIOS else 0.0 for name in found}, abs=1e-12
    )


@given(lines(), st.floats(0, 1))
def test_a_symmetric_profile_has_no_asymmetry(line, share):
    found = measure(line + line[::-1] + share * gaussian(len(line), width=0.3))
    for name in ("A_flux", "peak_ratio", "A_F", "A_C"):
        assert found[name] == pytest.approx(1, abs=1e-9), name
    assert found["centroid_offset"] == pytest.approx(0, abs=1e-9)
    assert found["residual"] == pytest.approx(0, abs=1e-9)


@given(lines())
def test_the_mirror_image_measures_the_same(line):
    found, mirrored = measure(line), measure(line[::-1])
    assert mirrored.pop("centroid_offset") == pytest.approx(-found.pop("centroid_offset"), abs=1e-9)
    for name in found:
        assert mirrored[name] == pytest.approx(found[name], rel=1e-8, abs=1e-9), name


@given(lines(), st.floats(1e-150, 1e150))
def test_the_scale_of_flux_does_not_matter(line, scale):
    found, scaled = measure(line), measure(scale * line)
    for name in found:
        assert scaled[name] == pytest.approx(found[name], rel=1e-9, abs=1e-9), name


@given(lines())
def test_a_flux_is_that_of_the_fits(line):
    velocity = np.arange(len(line), dtype=float)[None]
    assert measure(line, limit=1e6)["A_flux"] == pytest.approx(flux_asymmetry(velocity, line[None]), rel=1e-9)


@given(st.floats(1, 2), st.floats(1, 2), st.integers(5, 300))
def test_a_step_of_unequal_halves(low, high, half):
    """Its measures are known in closed form: no edges but those of the window, which are sharp."""
    found = measure(np.repeat([low, high], half), limit=1e3)
    ratio = max(low, high) / min(low, high)
    assert found["A_flux"] == pytest.approx(ratio, rel=1e-12)
    assert found["peak_ratio"] == pytest.approx(ratio, rel=1e-12)
    assert found["W20_W50"] >= 1
    offset = (high - low) / (high + low) / 4  # of the width, since each half's own centroid is at a quarter of it
    assert found["centroid_offset"] == pytest.approx(offset, abs=0.3 / half)
    assert found["residual"] == pytest.approx(2 * abs(high - low) / (high + low), abs=0.7 / half)


def test_a_step_within_the_window():
    profile = np.zeros(4000)
    profile[1000:2000], profile[2000:3000] = 3, 2
    found = measure(profile)
    assert found["A_flux"] == pytest.approx(1.5, rel=1e-3)
    assert found["peak_ratio"] == 1.5
    # The centroid is 100 samples below the step, a twentieth of the width.
    assert found["centroid_offset"] == pytest.approx(-0.05, abs=1e-3)
    assert found["A_F"] == pytest.approx((3 * 900) / (3 * 100 + 2 * 1000), rel=1e-3)


def test_a_gaussian_has_the_values_of_its_formula():
    found = measure(gaussian())
    t = np.linspace(0, 1, 100_001)
    area = np.trapezoid(erf(erfinv(0.85) * t), t) / 0.85 - 0.5
    assert found["W20_W50"] == pytest.approx(np.sqrt(np.log(5) / np.log(2)), rel=1e-5)
    assert found["C_V"] == pytest.approx(erfinv(0.85) / erfinv(0.25), rel=2e-5)
    assert found["K"] == pytest.approx(area, abs=1e-5)


def test_k_tells_horns_from_a_single_peak():
    horns = gaussian(centre=-0.3, width=0.08) + gaussian(centre=0.3, width=0.08)
    found = measure(np.stack([horns, np.ones(1000), gaussian()]))
    assert found["K"][0] < -0.1 < found["K"][1] == pytest.approx(0, abs=1e-12)
    assert found["K"][2] > 0.05


def test_a_line_at_the_edge_of_the_window_is_as_asymmetric_as_it_is_cut():
    found = measure(np.stack([gaussian(centre=-1.0), gaussian(centre=1.0)]))
    assert found["A_flux"][0] == pytest.approx(found["A_flux"][1], rel=1e-9)
    assert found["A_flux"][0] > 1.5


def test_one_channel_makes_a_symmetric_line():
    profile = np.zeros(64)
    profile[20] = 1
    found = measure(profile)
    assert found["A_flux"] == pytest.approx(1)
    assert found["residual"] == pytest.approx(0, abs=1e-9)


def test_ratios_end_at_the_limit():
    profile = np.concatenate([np.full(50, 1.0), np.full(50, -0.5), [0.3]])
    assert measure(profile, limit=7)["A_flux"] == 7


@pytest.mark.parametrize("fit", [fit_none, fit_busy])
def test_real_spectra(appss, fit):
    fitted = fit(read_alfalfa(str(appss)))
    found = measure(fitted.profiles[fitted.good])
    assert fitted.good.sum() == 13
    assert all(np.isfinite(values).all() for values in found.values())
    assert np.all(found["C_V"] < 10)
    assert np.all(found["W20_W50"] < 5)
    if fit is fit_busy:  # the fit's own A_flux is of the same curve
        np.testing.assert_allclose(found["A_flux"], fitted.table["A_flux"], rtol=0.02)


@pytest.mark.parametrize("limit", [1.0, 0.0, float("nan")])
def test_a_limit_that_is_none_is_named(limit):
    with pytest.raises(InputError, match=r"limit=.*more than 1"):
        ProfileAsymmetry(limit=limit).fit(np.ones((2, 10)))
