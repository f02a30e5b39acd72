"""The model skies: their physics, their noise, their likeness to the catalogue, and their files."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import median_abs_deviation
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from hiexp.datasets import mock_alfalfa, mock_cig, read_alfalfa
from hiexp.datasets.mock import galaxies, receiver
from hiexp.datasets.mock.channels import CHANNEL_KHZ, channel_velocities, channel_widths, frequency_of, velocity_of
from hiexp.datasets.mock.discs import ROTATION_CURVES, rotation_curve, surface_density
from hiexp.datasets.mock.populations import HUBBLE, MASS_PER_FLUX, Discs, signal_to_noise
from hiexp.datasets.mock.profiles import line_profiles, window_length
from hiexp.datasets.mock.smoothing import HANNING
from hiexp.datasets.mock.survey import draw_alfalfa
from hiexp.datasets.write import LAYOUT, write_arecibo_fits
from hiexp.errors import InputError
from hiexp.fitting import fit_none
from hiexp.spectral.widths import CLASS_LIMITS, edges, flux_asymmetry

DISCS = Discs(
    lopsidedness=0.25,
    rotation_lopsidedness=0.05,
    companion_fraction=0.3,
    speed=125.0,
    speed_slope=0.35,
    speed_scatter=0.14,
    least_inclination=8.0,
)
# Columns of the alpha.100 catalogue, and the decimals it prints.
PRINTED = {"W50": 0, "HIflux": 2, "SNR": 1, "Vhel": 0, "Dist": 1, "logMHI": 2}


@pytest.fixture(scope="module")
def sample():
    return mock_cig()


@pytest.fixture(scope="module")
def survey():
    return mock_alfalfa(6000, seed=4, ripple=0.0)


def window_of(discs, seed=0, channel_khz=CHANNEL_KHZ):
    window = window_length(channel_khz)
    off = np.random.default_rng(seed).uniform(-0.5, 0.5, (len(discs), 1))
    return channel_velocities(discs["Vhel"].to_numpy(), np.arange(window) - window / 2 + off, channel_khz)


def one_disc(**changed):
    disc = {
        "Vhel": 5000.0,
        "HIflux": 2.0,
        "Vrot": 150.0,
        "inclination": 60.0,
        "dispersion": 9.0,
        "turnover": 0.12,
        "slope": 0.01,
        "depression": 0.5,
        "lopsidedness": 0.0,
        "lopsidedness_azimuth": 0.0,
        "rotation_lopsidedness": 0.0,
        "companion": 0.0,
        "companion_velocity": np.nan,
        "companion_dispersion": np.nan,
    }
    return pd.DataFrame([disc | changed])


def profile_of(**changed):
    discs = one_disc(**changed)
    velocity = window_of(discs)
    return velocity, line_profiles(discs, velocity, CHANNEL_KHZ)


def summed_directly(disc, velocity, rotation, n=500):
    """Sum the Gaussians of equal steps in radius and azimuth over the whole disc, then the channels, then Hanning."""
    radius = (np.arange(n) + 0.5) / n * 1.5
    azimuth = (np.arange(n) + 0.5) / n * 2 * np.pi
    turnover, slope, depression = (np.array([disc[name]]) for name in ("turnover", "slope", "depression"))
    speed = disc["Vrot"] * np.sin(np.radians(disc["inclination"])) * rotation_curve(rotation)(radius, turnover, slope)
    cosine = np.cos(azimuth)
    shift = speed[0][:, None] * cosine * (1 + disc["rotation_lopsidedness"] * cosine)
    mode = 1 + disc["lopsidedness"] * np.cos(azimuth - np.radians(disc["lopsidedness_azimuth"]))
    weight = (surface_density(radius, depression)[0] * radius)[:, None] * mode
    weight *= (1 - disc["companion"]) / weight.sum()
    # A histogram of 0.2 km/s is fine enough for a dispersion of 7.
    amount, bins = np.histogram(shift, bins=np.arange(-600, 600, 0.2), weights=weight)
    # One channel more on either side, for Hanning.
    frequency = frequency_of(velocity[0]) + CHANNEL_KHZ / 1000 * (1.5 - np.arange(len(velocity) + 3))
    bounds = velocity_of(frequency) - disc["Vhel"]

    def below(centre, dispersion):
        return 0.5 * (1 + erf((bounds - centre) / (np.sqrt(2) * dispersion)))

    total = sum(
        a * below(c, disc["dispersion"]) for a, c in zip(amount, (bins[1:] + bins[:-1]) / 2, strict=True) if a
    )
    if disc["companion"]:
        total += disc["companion"] * below(disc["companion_velocity"], disc["companion_dispersion"])
    return 1000 * disc["HIflux"] * np.convolve(np.diff(total) / np.diff(bounds), HANNING, "valid")


@pytest.mark.parametrize("rotation", ROTATION_CURVES)
def test_profiles_are_what_a_direct_sum_gives(rotation):
    discs = draw_alfalfa(np.random.default_rng(3), 12, DISCS)
    velocity = window_of(discs)
    profiles = line_profiles(discs, velocity, CHANNEL_KHZ, rotation)
    for row, disc in enumerate(discs.to_dict("records")):
        expected = summed_directly(disc, velocity[row], rotation)
        assert np.abs(profiles[row] - expected).max() < 0.005 * expected.max()


@pytest.mark.slow
@pytest.mark.parametrize("rotation", ROTATION_CURVES)
def test_the_grid_of_the_integration_does_not_show(rotation):
    discs = draw_alfalfa(np.random.default_rng(0), 200, DISCS)
    velocity = window_of(discs)
    coarse = line_profiles(discs, velocity, CHANNEL_KHZ, rotation)
    fine = line_profiles(discs, velocity, CHANNEL_KHZ, rotation, n_radii=200, n_azimuths=256)
    assert np.all(np.abs(coarse - fine).max(axis=1) < 0.005 * fine.max(axis=1))


@settings(max_examples=30)
@given(
    st.floats(20, 430),
    st.floats(0, 90),
    st.floats(-300, 17000),
    st.floats(0, 0.9),
    st.floats(0, 360),
    st.floats(-0.25, 0.25),
)
def test_a_profile_holds_its_flux_and_nothing_negative(speed, inclination, systemic, mode, azimuth, unlike):
    velocity, profile = profile_of(
        Vrot=speed,
        inclination=inclination,
        Vhel=systemic,
        lopsidedness=mode,
        lopsidedness_azimuth=azimuth,
        rotation_lopsidedness=unlike,
    )
    flux = (profile * channel_widths(velocity, CHANNEL_KHZ)).sum() / 1000
    assert flux == pytest.approx(2.0, rel=1e-3)
    assert profile.min() > -1e-6 * profile.max()


@settings(max_examples=20)
@given(st.floats(60, 300), st.floats(30, 90), st.floats(0.05, 0.9), st.floats(-60, 60))
def test_turning_the_lopsidedness_round_mirrors_the_line(speed, inclination, mode, azimuth):
    shape = {"Vrot": speed, "inclination": inclination, "lopsidedness": mode}
    velocity, one = profile_of(**shape, lopsidedness_azimuth=azimuth)
    _, other = profile_of(**shape, lopsidedness_azimuth=azimuth + 180)
    width = channel_widths(velocity[0], CHANNEL_KHZ)
    mean = [np.average(velocity[0] - 5000, weights=line[0] * width) for line in (one, other)]
    assert mean[0] > 0
    assert mean[1] == pytest.approx(-mean[0], abs=0.01)


def test_symmetric_discs_have_symmetric_lines_as_wide_as_they_turn():
    velocity, profile = profile_of()
    assert flux_asymmetry(velocity, profile)[0] == pytest.approx(1, abs=0.02)
    low, high = edges(velocity, profile, 0.5)
    assert high[0] - low[0] == pytest.approx(2 * 150 * np.sin(np.radians(60)), rel=0.12)
    # Two horns: the middle is well below either.
    line = profile[0]
    assert line[len(line) // 2] < 0.8 * line.max()
    # Face-on, the gas dispersion and the channels are all that is left.
    velocity, profile = profile_of(inclination=0.0)
    low, high = edges(velocity, profile, 0.5)
    assert high[0] - low[0] == pytest.approx(2.355 * np.hypot(9, 4.0), rel=0.05)


def test_each_lopsidedness_and_a_companion_make_asymmetry():
    for change in (
        {"lopsidedness": 0.6},
        {"companion": 0.25, "companion_velocity": 130.0, "companion_dispersion": 15.0},
    ):
        velocity, profile = profile_of(**change)
        assert flux_asymmetry(velocity, profile)[0] > CLASS_LIMITS[0]
        assert (profile * channel_widths(velocity, CHANNEL_KHZ)).sum() / 1000 == pytest.approx(2.0, rel=1e-3)
    # Sides that turn unlike each other spread one horn and heighten the other.
    _, profile = profile_of(rotation_lopsidedness=0.15)
    half = profile.shape[1] // 2
    assert profile[0, :half].max() > 1.1 * profile[0, half:].max()
    # Lopsided along the minor axis, both sides are alike.
    velocity, profile = profile_of(lopsidedness=0.6, lopsidedness_azimuth=90.0)
    assert flux_asymmetry(velocity, profile)[0] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rotation", ROTATION_CURVES)
def test_rotation_curves_rise_and_are_scaled_at_the_hi_radius(rotation):
    radius = np.linspace(0, 1.5, 100)
    speed = rotation_curve(rotation)(radius, np.array([0.05, 0.4]), np.array([0.0, 0.02]))
    assert np.all(np.diff(speed, axis=1) >= 0)
    assert np.all(speed[:, 0] == 0)
    np.testing.assert_allclose(rotation_curve(rotation)(np.ones(1), np.array([0.1]), np.array([0.01])), 1)


@pytest.mark.parametrize("channel_khz", [6.1, 12.2, 48.8])
def test_other_spectrometers_see_the_same_line(channel_khz):
    discs = one_disc(Vrot=430.0, inclination=90.0, lopsidedness=0.4, rotation_lopsidedness=0.1)
    velocity = window_of(discs, channel_khz=channel_khz)
    line = line_profiles(discs, velocity, channel_khz)
    usual, expected = profile_of(Vrot=430.0, inclination=90.0, lopsidedness=0.4, rotation_lopsidedness=0.1)
    assert (line * channel_widths(velocity, channel_khz)).sum() / 1000 == pytest.approx(2.0, rel=1e-3)
    assert flux_asymmetry(velocity, line) == pytest.approx(flux_asymmetry(usual, expected), rel=0.02)
    assert line[0, 0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"rotation": "solid"}, r"dataset\.rotation=solid.*polyex, arctan"),
        ({"n_galaxies": 0}, r"dataset\.n_galaxies=0"),
        ({"n_channels": 0}, r"dataset\.n_channels=0"),
        ({"channel_khz": -5.0}, r"dataset\.channel_khz=-5\.0"),
        ({"rms": 0.0}, r"dataset\.rms=0"),
        ({"snr_min": 1e9}, r"dataset\.snr_min"),
        ({"companion_fraction": 1.5}, r"dataset\.companion_fraction=1\.5"),
        ({"lopsidedness": 0.0, "rotation_lopsidedness": 0.0, "balance": True}, r"dataset\.balance=true"),
    ],
)
def test_settings_that_cannot_be_are_named(setting, said):
    with pytest.raises(InputError, match=said):
        mock_cig(**{"n_galaxies": 5} | setting)


def test_the_default_sample(sample):
    assert len(sample) == 318
    share = np.bincount(sample.reference) / 318
    np.testing.assert_allclose(share, [2 / 3, 1 / 6, 1 / 6], atol=0.04)
    assert np.all(np.diff(sample.velocity, axis=1) > 0)
    assert np.isfinite(sample.flux).all()
    assert sample.catalogue["SNR"].min() > 9


@pytest.mark.parametrize("n", [318, 20])
def test_balanced_classes(n):
    counts = np.bincount(mock_cig(n, balance=True, n_channels=256).reference)
    assert counts.sum() == n
    assert np.ptp(counts) <= 1


def test_same_seed_same_sky_whatever_the_batch(monkeypatch):
    settings = {"n_galaxies": 40, "n_channels": 300, "ripple": 0.3, "rfi": 0.5, "companion_fraction": 0.3}
    one, other = mock_alfalfa(**settings), mock_alfalfa(**settings, seed=2)
    assert not np.array_equal(one.flux, other.flux)
    for batch in (1, 7, 40):
        for module in (galaxies, receiver):
            monkeypatch.setattr(module, "BATCH", batch)
        again = mock_alfalfa(**settings)
        np.testing.assert_array_equal(again.flux, one.flux)
        np.testing.assert_array_equal(again.velocity, one.velocity)
        pd.testing.assert_frame_equal(again.catalogue, one.catalogue)


@pytest.mark.parametrize("make", [mock_cig, mock_alfalfa])
def test_classes_follow_the_truth(make):
    sky = make(200)
    a_flux = sky.catalogue["A_flux"].to_numpy()
    assert a_flux.min() >= 1
    np.testing.assert_array_equal(sky.reference, (a_flux > CLASS_LIMITS[0]) + 1 * (a_flux > CLASS_LIMITS[1]))


def test_spectra_hold_the_flux_and_the_asymmetry_of_their_catalogue():
    quiet = mock_cig(60, rms=0.001)
    flux = (quiet.flux * channel_widths(quiet.velocity, CHANNEL_KHZ)).sum(axis=1) / 1000
    np.testing.assert_allclose(flux, quiet.catalogue["HIflux"], rtol=0.01)
    assert flux_asymmetry(quiet.velocity, quiet.flux) == pytest.approx(quiet.catalogue["A_flux"], rel=0.01)
    low, high = edges(quiet.velocity, quiet.flux, 0.5)
    np.testing.assert_allclose(high - low, quiet.catalogue["W50"], rtol=0.01)


def test_a_narrow_band_holds_what_it_can():
    wide, narrow = (
        mock_cig(30, n_channels=1024, rms=1e-4, snr_min=1e4),
        mock_cig(30, n_channels=64, rms=1e-4, snr_min=1e4),
    )
    assert narrow.flux.shape == (30, 64)
    np.testing.assert_allclose(narrow.flux.max(axis=1), wide.flux.max(axis=1), rtol=0.2)


@pytest.mark.slow
def test_channels_have_one_width_in_frequency(survey):
    steps = np.diff(frequency_of(survey.velocity[:20]), axis=1) * -1000
    np.testing.assert_allclose(steps, CHANNEL_KHZ, rtol=1e-6)
    widths = np.diff(survey.velocity, axis=1)
    redshift = 1 + survey.velocity[:, 1:] / 299792.458
    np.testing.assert_allclose(widths, 5.153 * redshift**2, rtol=1e-3)


def test_noise_is_what_it_says_and_hanning_smoothed(sample):
    off = np.abs(sample.velocity - sample.systemic[:, None]) > 600
    assert median_abs_deviation(sample.flux[off], scale="normal") == pytest.approx(2.0, rel=0.02)
    pair = off[:, 1:] & off[:, :-1]
    correlation = np.mean((sample.flux[:, 1:] * sample.flux[:, :-1])[pair]) / 2.0**2
    assert correlation == pytest.approx(2 / 3, abs=0.02)


def test_ripple_and_interference_are_added_where_asked():
    plain, spoilt = mock_cig(60), mock_cig(60, ripple=1.0, rfi=1.0)
    # The same discs; only what the telescope adds differs.
    assert spoilt.catalogue.drop(columns="n_rfi").equals(plain.catalogue.drop(columns="n_rfi"))
    off = np.abs(spoilt.velocity - spoilt.systemic[:, None]) > 600
    assert median_abs_deviation(spoilt.flux[off], scale="normal") > 1.15 * 2.0
    hit = np.abs(spoilt.flux * off).max(axis=1) > 9 * 2.0
    assert plain.catalogue["n_rfi"].sum() == 0
    assert 30 < spoilt.catalogue["n_rfi"].sum() < 95
    assert not hit[spoilt.catalogue["n_rfi"] == 0].any()
    assert hit[spoilt.catalogue["n_rfi"] > 0].mean() > 0.7
    assert spoilt.valid.all()


@pytest.mark.parametrize(
    ("name", "median"),
    # Of the 31,502 sources of alpha.100 (Haynes et al. 2018).
    [("W50", 174), ("HIflux", 1.26), ("SNR", 8.8), ("rms", 2.3), ("Vhel", 7946), ("Dist", 114.8)],
)
def test_medians_are_those_of_the_catalogue(survey, name, median):
    assert survey.catalogue[name].median() == pytest.approx(median, rel=0.1)


def test_masses_and_widths_are_spread_like_the_catalogue(survey):
    assert survey.catalogue["logMHI"].median() == pytest.approx(9.64, abs=np.log10(1.1))
    np.testing.assert_allclose(np.percentile(survey.catalogue["W50"], [16, 84]), [82, 302], rtol=0.1)
    assert survey.catalogue["Vhel"].max() <= 17823
    assert (survey.catalogue["HI"] == 1).mean() == pytest.approx(25434 / 31502, abs=0.06)


@pytest.fixture(scope="module")
def alpha100(appss):
    file = appss.parent / "a100.code12.table2.190808.csv"
    if not file.is_file():
        pytest.skip(f"the ALFALFA catalogue (../shared/data/{file.name}) is not on this machine")
    return pd.read_csv(file).rename(columns={"Vhelio": "Vhel", "logMH": "logMHI"})[list(PRINTED)]


def separability(model, real):
    """How well a boosted classifier that is tried on what it has not seen tells the two apart, as an AUC."""
    rows = np.concatenate([model, real.sample(len(model), random_state=0)])
    truth = np.repeat([0, 1], len(model))
    order = np.random.default_rng(0).permutation(len(rows))
    classifier = HistGradientBoostingClassifier(random_state=0)
    known = cross_val_predict(classifier, rows[order], truth[order], cv=3, method="predict_proba")
    return roc_auc_score(truth[order], known[:, 1])


@pytest.mark.slow
def test_the_survey_can_hardly_be_told_from_the_catalogue(survey, alpha100):
    model = survey.catalogue[list(PRINTED)].round(PRINTED)
    assert separability(model, alpha100) < 0.6
    for name in PRINTED:
        assert separability(model[[name]], alpha100[[name]]) < 0.54
    # That it would be found out: widths of other galaxies, each distributed as before.
    model["W50"] = np.random.default_rng(1).permutation(model["W50"])
    assert separability(model, alpha100) > 0.7


def test_distances_beyond_the_model_of_the_flow_are_velocities_seen_from_the_cmb(survey):
    known = survey.catalogue
    ascension, declination = np.radians(known["RAJ2000"]), np.radians(known["DEJ2000"])
    # The Sun moves by 369.8 km/s towards l = 264, b = 48: ra = 167.79, dec = -7.15.
    apex, north = np.radians([167.79, -7.15])
    towards = np.sin(declination) * np.sin(north)
    towards += np.cos(declination) * np.cos(north) * np.cos(ascension - apex)
    velocity = known["Vhel"] + 369.8 * towards
    far = velocity > 6010
    np.testing.assert_allclose(velocity[far], HUBBLE * known["Dist"][far], atol=2)
    near = velocity < 5990
    off = (velocity - HUBBLE * known["Dist"])[near]
    assert 80 < median_abs_deviation(off, scale="normal") < 300


def test_the_sky_has_two_regions_with_structures_of_their_own(survey):
    known = survey.catalogue
    hours = known["RAJ2000"] / 15
    fall = (hours < 3) | (hours > 22)
    assert np.all(fall | hours.between(7.5, 16.5))
    assert known["DEJ2000"].between(0, 36).all()
    # 9,924 of the catalogue's 31,502 sources.
    assert fall.mean() == pytest.approx(0.315, abs=0.03)
    coma, perseus = (known["Dist"].between(low, high) for low, high in ((93, 107), (64, 79)))
    assert (coma & ~fall).sum() / (perseus & ~fall).sum() > 2
    assert (perseus & fall).sum() / (coma & fall).sum() > 1.2


def test_flux_mass_and_signal_to_noise_agree(sample, survey):
    for catalogue in (sample.catalogue, survey.catalogue):
        mass = np.log10(MASS_PER_FLUX * catalogue["Dist"] ** 2 * catalogue["HIflux"])
        np.testing.assert_allclose(mass, catalogue["logMHI"], atol=1e-9)
        snr = signal_to_noise(catalogue["HIflux"], catalogue["W50"], catalogue["rms"])
        np.testing.assert_allclose(snr, catalogue["SNR"])


def test_signal_to_noise_is_defined_as_in_the_catalogue():
    # Five rows of alpha.100: HIflux, W50, rms, and the S/N printed there.
    flux, width, rms = [1.14, 1.80, 1.96, 1.13, 2.37], [274, 313, 160, 260, 406], [1.91, 2.02, 2.35, 2.40, 2.31]
    computed = signal_to_noise(np.array(flux), np.array(width), np.array(rms))
    np.testing.assert_allclose(computed, [8.1, 11.3, 14.7, 6.5, 11.2], rtol=0.02)


@pytest.mark.slow
def test_single_precision_is_enough_for_the_measurements():
    sky = mock_alfalfa(200, seed=8)
    assert sky.flux.dtype == np.float32
    double = type(sky)(**{**vars(sky), "flux": sky.flux.astype(float)})
    one, two = fit_none(sky), fit_none(double)
    pd.testing.assert_frame_equal(one.table, two.table, rtol=1e-3, check_dtype=False)
    np.testing.assert_allclose(one.profiles, two.profiles, atol=1e-3)


def test_files_are_read_back_with_their_interference_found(tmp_path):
    sky = mock_alfalfa(60, seed=3, rfi=0.4)
    sky.valid[4, 100:110] = False
    write_arecibo_fits(sky, tmp_path)
    back = read_alfalfa(str(tmp_path))
    assert back.ids.tolist() == sky.ids.tolist()
    assert back.skipped.empty
    np.testing.assert_allclose(back.velocity, sky.velocity)
    np.testing.assert_allclose(back.flux[back.valid], sky.flux[back.valid], rtol=1e-6)
    np.testing.assert_allclose(back.systemic, sky.systemic)
    np.testing.assert_allclose(back.rms, sky.rms, rtol=0.25)
    assert not back.valid[4, 100:110].any()
    loud = np.abs(sky.flux - back.flux) > 20 * sky.rms[:, None]
    assert np.all(loud.any(axis=1) <= (sky.catalogue["n_rfi"].to_numpy() > 0))
    assert (~back.valid).sum(axis=1)[sky.catalogue["n_rfi"] == 0].sum() == 10 * (sky.catalogue["n_rfi"].iloc[4] == 0)


def test_files_have_the_layout_of_the_real_ones(tmp_path, appss):
    write_arecibo_fits(mock_cig(2), tmp_path)
    with fits.open(tmp_path / "A000001.fits") as model, fits.open(appss / "A102855.fits") as real:
        model.verify("exception")
        assert model[1].columns.names == real[1].columns.names == list(LAYOUT.names)
        assert model[1].columns.units[:4] == real[1].columns.units[:4]
        assert [form.strip("1") for form in real[1].columns.formats] == model[1].columns.formats
        assert np.all(np.diff(model[1].data["VHELIO"]) < 0)
        assert np.all(np.diff(model[1].data["FREQUENCY"]) > 0)
        for key in ("OBJECT", "RA", "DEC", "V21SYS", "NANVALUE"):
            assert type(model[1].header[key]) is type(real[1].header[key])


def test_the_catalogue_is_read_as_viziers(tmp_path):
    sky = mock_alfalfa(30, n_channels=64)
    file = write_arecibo_fits(sky, tmp_path)
    table = pd.read_csv(file, sep="\t", comment="#", dtype=str)
    assert table.columns[0] == "AGC"
    assert set(table.iloc[1, 0]) == {"-"}
    values = table.iloc[2:].apply(lambda column: column.str.strip())
    assert values["AGC"].tolist() == sky.ids.tolist()
    for name, tolerance in {"Vhel": 0.51, "W50": 0.51, "HIflux": 6e-4, "logMHI": 6e-3, "A_flux": 1e-4}.items():
        np.testing.assert_allclose(values[name].astype(float), sky.catalogue[name], atol=tolerance)


def test_ids_without_a_number_of_their_own_are_named(tmp_path):
    sky = mock_cig(2, n_channels=64)
    with pytest.raises(InputError, match="alpha has no number"):
        write_arecibo_fits(type(sky)(**{**vars(sky), "ids": np.array(["1", "alpha"])}), tmp_path)
    with pytest.raises(InputError, match="M1, N01"):
        write_arecibo_fits(type(sky)(**{**vars(sky), "ids": np.array(["M1", "N01"])}), tmp_path)
