"""The posterior of each object and of the sample in the table of fits, and how often it is right."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.posterior import SIMULATIONS

from hiexp.cache import NoCache
from hiexp.datasets import mock_cig
from hiexp.datasets.mock.alike import draw_alike
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.receiver import Receiver
from hiexp.errors import InputError
from hiexp.fitting import FitResult, fit_none
from hiexp.posterior import LINE_INPUTS, infer_asymmetry
from hiexp.posterior.columns import infer_lines

ENDS = ("p025", "p16", "p50", "p84", "p975")  # in ascending order
N_CHANNELS = 1024


def inferred(spectra, fit, limits, measures=("A_flux",), simulations=SIMULATIONS, seed=0):
    return infer_asymmetry(spectra, fit, fit_none, NoCache(), measures, limits, simulations, seed)


@pytest.fixture(scope="module")
def sample(density):
    """Galaxies, of which two have no line and one is wider than any that is simulated, and what is inferred."""
    spectra = mock_cig(n_galaxies=60, seed=4)
    flux = spectra.flux.copy()
    flux[[3, 7]] = -1.0
    spectra = replace(spectra, flux=flux)
    fit = fit_none(spectra)
    table = fit.table.copy()
    table.iloc[11, table.columns.get_loc("w50")] = 5000.0
    fit = replace(fit, table=table, meanings={"mine": "a column of mine"}, sample={"mine": 3.0})
    return spectra, fit, inferred(spectra, fit, [1.26, 1.39])


def test_every_line_has_quantiles_and_probabilities(sample):
    _, fit, result = sample
    added = result.table.columns.difference(fit.table.columns)
    assert set(added) == {*(f"A_flux_{end}" for end in ENDS), "A_flux_above_1_26", "A_flux_above_1_39"}
    pd.testing.assert_frame_equal(result.table[fit.table.columns], fit.table)
    known = result.table[np.isfinite(result.table["A_flux_p50"])]
    assert len(known) == 57
    quantiles = known[[f"A_flux_{end}" for end in ENDS]].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert (quantiles >= 1).all()
    assert known["A_flux_above_1_26"].between(0, 1).all()
    assert (known["A_flux_above_1_39"] <= known["A_flux_above_1_26"]).all()
    # A median above the limit is a probability above one half.
    np.testing.assert_array_equal(known["A_flux_p50"] > 1.26, known["A_flux_above_1_26"] > 0.5)


def test_what_has_no_fit_and_what_is_like_no_simulated_line_has_no_posterior(sample, caplog):
    spectra, fit, result = sample
    added = result.table.columns.difference(fit.table.columns)
    unknown = np.flatnonzero(result.table[added].isna().all(axis=1))
    assert unknown.tolist() == [3, 7, 11]
    with caplog.at_level(logging.WARNING, "hiexp.posterior"):
        inferred(spectra, fit, [])
    assert "1 lines are beyond those simulated in W50, S/N or channels" in caplog.text


def test_the_sample_has_fractions_with_intervals(sample):
    _, _, result = sample
    for limit in ("1_26", "1_39"):
        name = f"fraction_A_flux_above_{limit}"
        low, value, high = (result.sample[key] for key in (f"low_{name}", name, f"high_{name}"))
        assert 0 <= low < value < high <= 1
        assert low < result.table[f"A_flux_above_{limit}"].mean() < high
    measured = (result.table.loc[result.table["A_flux_p50"].notna(), "A_flux"] > 1.26).mean()
    # The measure of the sampled profile, and not that of the smoothed data.
    assert result.sample["measured_fraction_A_flux_above_1_26"] == pytest.approx(measured, abs=0.2)
    assert result.sample["mine"] == 3
    assert result.metrics() | result.sample == result.metrics()


def test_columns_say_what_they_are_in_every_file(sample, tmp_path):
    _, _, result = sample
    result.write(tmp_path)
    table = Table.read(tmp_path / "fits.ecsv")
    assert table["A_flux_p16"].description == "16 % quantile of the posterior of A_flux without noise"
    assert table["A_flux_p025"].description == "2.5 % quantile of the posterior of A_flux without noise"
    assert table["A_flux_above_1_26"].description == "probability that A_flux without noise is above 1.26"
    assert table["A_flux_p50"].unit is None
    np.testing.assert_array_equal(table["A_flux_p50"], result.table["A_flux_p50"])
    assert "A_flux_above_1_39" in pd.read_parquet(tmp_path / "fits.parquet")


def test_what_is_kept_has_meanings_and_numbers_of_the_sample(sample, tmp_path):
    _, _, result = sample
    result.save(tmp_path)
    loaded = FitResult.load(tmp_path)
    assert loaded.meanings == result.meanings
    assert loaded.meanings["mine"] == "a column of mine"
    assert loaded.sample == result.sample
    pd.testing.assert_frame_equal(loaded.table, result.table)


def test_the_order_of_a_sample_does_not_matter(sample):
    spectra, fit, result = sample
    rows = slice(None, None, -1)
    backwards = inferred(
        spectra.take(rows),
        FitResult(fit.table[rows], fit.profiles[rows], fit.windows[rows]),
        [1.26, 1.39],
    )
    for name in ("A_flux_p50", "A_flux_above_1_26"):
        np.testing.assert_allclose(backwards.table[name].to_numpy()[rows], result.table[name], rtol=1e-6)


def test_a_measure_that_there_is_not_is_named(sample):
    spectra, fit, _ = sample
    with pytest.raises(InputError, match=r"measure A_fluks: no such measure of asymmetry; there are A_flux, .*A_C"):
        inferred(spectra, fit, [1.26], ["A_flux", "A_fluks"])


@pytest.mark.parametrize("limits", [[1.26, 1.0], [-1.2], [float("nan")], [float("inf")]])
def test_limits_that_every_line_or_none_exceeds_are_refused(sample, limits):
    spectra, fit, _ = sample
    with pytest.raises(
        InputError, match=rf"limits: {limits[-1]:g} for A_flux, which symmetric lines have 1 of; give"
    ):
        inferred(spectra, fit, limits)


def test_a_distance_is_a_measure_too(sample):
    spectra, fit, _ = sample
    result = inferred(spectra, fit, [0.05], ["centroid_offset"], simulations=500)
    known = result.table[f"centroid_offset_{ENDS[0]}"].dropna()
    assert len(known) == 57
    assert (known >= 0).all()
    assert 0 <= result.sample["fraction_centroid_offset_above_0_05"] <= 1
    assert 0 <= result.sample["measured_fraction_centroid_offset_above_0_05"] <= 1


@pytest.mark.parametrize("n", [0, 1])
def test_samples_of_no_line_and_of_one(density, sample, n):
    spectra, fit, _ = sample
    rows = slice(0, n) if n else slice(3, 4)  # the fourth has no line
    few = FitResult(fit.table[rows], fit.profiles[rows], fit.windows[rows])
    result = inferred(spectra.take(rows), few, [1.26])
    assert result.table["A_flux_p50"].notna().sum() == n
    assert not result.sample  # no fraction of so few
    assert "A_flux_above_1_26" in result.meanings


@pytest.mark.parametrize("limits", [[], [1.26, 1.26], [0.5, 2], [100]])
def test_odd_limits(density, limits):
    inputs = np.zeros((25, len(LINE_INPUTS)), np.float32)
    columns, meanings, sample = infer_lines("A_flux", limits, density, inputs, 0)
    above = [name for name in columns if "_above_" in name]
    assert len(above) == len(set(limits))
    assert set(columns) == set(meanings)
    assert len(sample) == 4 * len(above)
    for name in above:
        expected = {"A_flux_above_0_5": 1.0, "A_flux_above_100": 0.0}.get(name)
        if expected is not None:
            np.testing.assert_allclose(columns[name], expected)
            assert sample[f"fraction_{name}"] == pytest.approx(expected)


def model_galaxies(n, rng):
    """Galaxies whose S/N, W50 and lopsidedness follow other laws than those of the lines that are learned from."""
    w50 = np.clip(np.exp(rng.normal(np.log(170), 0.55, n)), 25, 600)
    lines = pd.DataFrame(
        {
            "position": rng.uniform(1000, 12000, n),
            "w50": w50,
            "snr": np.clip(np.exp(rng.normal(np.log(12), 0.8, n)), 4.5, 120),
            "rms": 1.0,
            "channel_width": np.maximum(rng.choice([2.6, 5.3, 8.0], n), w50 * 5 / N_CHANNELS),
            "noise_correlation": rng.choice([0, 0.5, 2 / 3], n),
        }
    )
    discs = Discs(0.28, 0.05, 0.1)
    # Not exactly: discs drawn again until W50 is that asked for are other discs than those drawn first.
    galaxies, khz, smoothing = draw_alike(rng, rng, lines, discs, N_CHANNELS, exactly=False)
    receiver = Receiver(N_CHANNELS, khz, ripple=0.0, rfi=0.0, smoothing=smoothing)
    return receiver.observe(galaxies, np.array([f"G{number:05d}" for number in range(n)]), rng, np.float32)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(density):
    """Of galaxies of another population than the simulated one; and the median is less biased than the measure."""
    spectra = model_galaxies(1500, np.random.default_rng(5))
    table = inferred(spectra, fit_none(spectra), [1.26]).table
    known = table["A_flux_p50"].notna().to_numpy()
    table, truth = table[known], spectra.catalogue["A_flux"].to_numpy()[known]
    assert len(table) > 1400

    def held(low, high):
        return ((truth > table[f"A_flux_{low}"]) & (truth < table[f"A_flux_{high}"])).mean()

    assert 0.58 < held("p16", "p84") < 0.78
    assert 0.90 < held("p025", "p975") < 0.99
    faint = table["snr"].between(5, 10)
    assert faint.sum() > 300
    bias = {name: (table[name] - truth)[faint].mean() for name in ("A_flux_p50", "A_flux")}
    assert bias["A_flux"] > 0.1  # noise makes lines lopsided
    assert abs(bias["A_flux_p50"]) < abs(bias["A_flux"])
    likely = table["A_flux_above_1_26"]
    assert (truth > 1.26)[likely < 0.2].mean() < 0.2
    assert (truth > 1.26)[likely > 0.8].mean() > 0.65
