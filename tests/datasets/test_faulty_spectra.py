"""Spectra whose axis, flux or writing is not what it seems: what is read right, what is refused and what is said."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.commands import command, train
from helpers.lines import gaussian, noise
from hypothesis import given
from hypothesis import strategies as st

from hiexp.datasets import read_alfalfa, read_arrays, read_cig
from hiexp.datasets.cleaning import clean
from hiexp.errors import InputError
from hiexp.fitting import fit_busy, fit_none
from hiexp.labels import ReferenceLabels
from hiexp.spectral.axis import UNITS, plausible, units_that_fit
from hiexp.spectral.channels import find_blanks, find_fill_values, noise_rms

LIGHT, REST = 299_792.458, 1420.40575177
VELOCITY = 4000 + 5.5 * np.arange(512)
FLUX = gaussian(VELOCITY, 40, 5300, 60) + noise(3, 2.0, VELOCITY.size)


def read_one(folder, lines, **options):
    """Read lines, or a copy of a file, as the only spectrum of a folder."""
    folder.mkdir(exist_ok=True)
    if isinstance(lines, Path):
        shutil.copy(lines, folder / (lines.name if lines.name.startswith("CIG") else f"CIG77_{lines.stem}.asc"))
    else:
        (folder / "CIG5_x.asc").write_text("\n".join(lines))
    return read_cig(str(folder), **options)


def rows(axis=VELOCITY, flux=FLUX, form="{:.9g} {:.6g}"):
    return [form.format(*pair) for pair in zip(axis, flux, strict=True)]


# the axis

IN_UNIT = {
    "km/s": VELOCITY,
    "m/s": 1e3 * VELOCITY,
    "MHz": REST / (1 + VELOCITY / LIGHT),
    "GHz": 1e-3 * REST / (1 + VELOCITY / LIGHT),
    "kHz": 1e3 * REST / (1 + VELOCITY / LIGHT),
    "Hz": 1e6 * REST / (1 + VELOCITY / LIGHT),
}


@pytest.mark.parametrize("unit", UNITS)
def test_an_axis_is_read_in_its_unit_and_refused_without(tmp_path, unit):
    lines = rows(IN_UNIT[unit], form="{:.12g} {:.6g}")
    np.testing.assert_allclose(read_one(tmp_path / "a", lines, axis_unit=unit).velocity[0], VELOCITY, atol=0.01)
    if unit != "km/s":
        with pytest.raises(InputError, match=rf"CIG5_x.asc: .*it looks like {unit}; give dataset.axis_unit={unit}"):
            read_one(tmp_path / "a", lines)
    other = "GHz" if unit != "GHz" else "m/s"
    with pytest.raises(InputError, match=rf"cannot be dataset.axis_unit={other}: it looks like {unit}"):
        read_one(tmp_path / "a", lines, axis_unit=other)


@given(st.floats(-2000, 60000), st.floats(0.5, 50), st.integers(128, 4096), st.sampled_from(UNITS))
def test_an_axis_fits_its_own_unit_and_hardly_another(start, step, n, unit):
    velocity = start + step * np.arange(n)
    factor = {"km/s": 1, "m/s": 1e3}
    axis = (
        velocity * factor[unit]
        if unit in factor
        else {"MHz": 1, "GHz": 1e-3, "kHz": 1e3, "Hz": 1e6}[unit] * (REST / (1 + velocity / LIGHT))
    )
    assert plausible(velocity[0], velocity[-1], step)
    found = units_that_fit(axis)
    assert unit in found
    # Numbers around a thousand in small steps can be MHz and km/s, and their thousandfold kHz and m/s.
    assert set(found) - {unit} <= {"km/s", "MHz", "m/s", "kHz"}


def test_a_wide_band_of_frequencies_keeps_its_gaps(tmp_path):
    frequency = np.delete(np.arange(1050, 1420, 0.1), [700, 701, 1500])
    flux = noise(1, 2.0, frequency.size)
    spectra = read_one(tmp_path / "a", rows(frequency, flux, "{:.7f} {:.4f}"), axis_unit="MHz")
    assert spectra.flux.shape == (1, 3700)
    assert np.count_nonzero(~spectra.valid) == 3


def test_numbers_that_could_be_two_units_are_asked_for(tmp_path):
    axis = np.arange(1320, 1420, 0.2)
    lines = rows(axis, noise(1, 2.0, axis.size))
    with pytest.raises(InputError, match=r"could be in km/s or in MHz; give dataset\.axis_unit=km/s or"):
        read_one(tmp_path / "a", lines)
    assert read_one(tmp_path / "a", lines, axis_unit="km/s").velocity[0, 0] == 1320
    assert read_one(tmp_path / "a", lines, axis_unit="MHz").velocity[0, -1] == pytest.approx(22805, abs=5)


@pytest.mark.parametrize("first", [0, 1, 1132])
def test_channel_numbers_begin_anywhere(tmp_path, caplog, first):
    lines = rows(first + np.arange(VELOCITY.size))
    with pytest.raises(
        InputError, match=rf"CIG5_x.asc: its first column counts channels, {first} to .*channel_width="
    ):
        read_one(tmp_path / "a", lines)
    spectra = read_one(tmp_path / "a", lines, channel_width=5.5)
    assert fit_none(spectra).table["w50"].iloc[0] == pytest.approx(141, rel=0.1)
    assert "positions are relative" in caplog.text
    np.testing.assert_allclose(np.diff(spectra.velocity), 5.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channel_width": 5.0}, r"dataset\.channel_width=5 is not used: no file in .* has channel numbers"),
        ({"channel_width": 5.0, "axis_unit": "km/s"}, "give one of the two"),
        ({"channel_width": 5000.0}, r"dataset\.channel_width=5000\.0: give the km/s"),
        ({"channel_width": float("nan")}, r"dataset\.channel_width=nan"),
        ({"axis_unit": "parsec"}, r"dataset\.axis_unit=parsec: choose one of km/s, m/s, MHz"),
    ],
)
def test_options_that_are_not_used_or_cannot_be(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        read_one(tmp_path / "a", rows(), **options)


@pytest.mark.parametrize("unit", ["m/s", "MHz", "GHz", "Hz"])
def test_arrays_with_an_axis_in_another_unit_are_refused(tmp_path, unit):
    np.savez(tmp_path / "x.npz", X=[FLUX], velocity=IN_UNIT[unit])
    with pytest.raises(InputError, match=rf"x\.npz: series 1: .*it looks like {unit}; convert to km/s"):
        read_arrays(str(tmp_path / "x.npz"))


def test_columns_that_are_counted_are_no_velocities(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for first in (0, 1):
        (tmp_path / "x.csv").write_text(",".join(map(str, first + np.arange(30))) + "\n" + ",".join(["1.5"] * 30))
        assert read_arrays(str(tmp_path / "x.csv")).velocity[0, 0] == 0
    assert "has no velocities" in caplog.text


# the flux


@pytest.mark.parametrize("fill", [999, -999, -9999, 99999, 1e20, -32768, 9.96921e36, 12345.5])
@pytest.mark.parametrize("places", ["scattered", "together"])
def test_fill_values_are_masked_and_counted(tmp_path, caplog, fill, places):
    where = np.arange(0, 200, 5) if places == "scattered" else np.arange(100, 140)
    flux = FLUX.copy()
    flux[where] = fill
    spectra = read_one(tmp_path / "a", rows(flux=flux))
    assert np.flatnonzero(~spectra.valid[0]).tolist() == where.tolist()
    assert f"CIG5_x.asc: 40 channels hold the fill value {fill:g} and are masked" in caplog.text
    np.savez(tmp_path / "x.npz", X=[flux, FLUX], velocity=VELOCITY)
    series = read_arrays(str(tmp_path / "x.npz"))
    assert np.flatnonzero(~series.valid[0]).tolist() == where.tolist()
    assert series.valid[1].all()
    assert f"40 samples of 1 series hold the fill value {fill:g}" in caplog.text
    assert fit_none(series).table["w50"].iloc[0] == pytest.approx(141, rel=0.1)


def test_what_is_meant_is_no_fill_value():
    box = np.where(np.abs(VELOCITY - 5300) < 100, 12.0, 0.0)
    horns = np.abs(VELOCITY - 5300) / 10 * (np.abs(VELOCITY - 5300) < 150)
    everywhere = np.ones(VELOCITY.size, bool)
    for flux in (FLUX, np.round(FLUX), 50 * FLUX, box, 1000 * box, horns, np.clip(FLUX, -3, 20), np.full(512, 999.0)):
        assert not find_fill_values(flux, everywhere).any()
        assert not find_blanks(flux, everywhere).any()


@given(st.integers(1, 400), st.floats(0.1, 50), st.integers(0, 2**31))
def test_noise_is_that_of_channels_that_are_not_blanked(n_blank, rms, seed):
    flux = noise(seed, rms, 1024)
    flux[50 : 50 + n_blank] = 0
    measured = noise_rms(flux, np.ones(1024, bool))
    assert measured == pytest.approx(rms, rel=0.25)
    blank = find_blanks(flux, np.ones(1024, bool))
    assert np.count_nonzero(blank) == (n_blank if n_blank >= 4 else 0)


@pytest.mark.parametrize("width", [250, 400])
@pytest.mark.parametrize("seed", range(3))
def test_noise_in_a_band_cut_close_to_its_line(width, seed):
    velocity = np.arange(-1000, 1000, 5.0)
    flux = np.where(np.abs(velocity) < width / 2, 12.0, 0.0) + noise(seed, 2.0, velocity.size)
    near = np.abs(velocity) < width
    assert noise_rms(flux[near], near[near]) == pytest.approx(2, rel=0.3)


def test_jansky_taken_for_millijansky_is_told(tmp_path, caplog):
    lines = rows(flux=FLUX / 1000)
    with pytest.raises(
        InputError, match=r"noise of 0\.00\d+ mJy a channel: its flux looks like Jy.*dataset\.flux_unit"
    ):
        read_one(tmp_path / "a", lines)
    assert fit_none(read_one(tmp_path / "a", lines, flux_unit="Jy")).table["flux_peak"].iloc[0] > 30
    assert read_one(tmp_path / "a", lines, flux_unit="mJy").rms[0] < 0.01  # who says so is believed
    np.savez(tmp_path / "x.npz", X=[FLUX / 1000], velocity=VELOCITY)
    assert len(read_arrays(str(tmp_path / "x.npz"))) == 1
    assert "its flux looks like Jy, or has no unit; fluxes are taken for mJy" in caplog.text


# the writing


def test_the_same_spectrum_in_other_writings(tmp_path):
    plain = read_one(tmp_path / "plain", rows(form="{:.3f} {:.4f}"))
    comma = [line.replace(".", ",") for line in rows(form="{:.3f};{:.4f}")]
    writings = {
        "D exponents": [line.replace("e", "D") for line in rows(form="{:.9e} {:.9e}")],
        "quotes": ['"velocity","flux"', *rows(form='"{:.3f}","{:.4f}"')],
        "decimal commas": comma,
        "decimal commas and tabs": [line.replace(";", "\t") for line in comma],
        "decimal commas in quotes": ['"{}","{}"'.format(*line.split(";")) for line in comma],
        "a count on top": [str(VELOCITY.size), *rows()],
        "a count of the rows": [
            ",velocity,flux",
            *(f"{i},{row}" for i, row in enumerate(rows(form="{:.3f},{:.4f}"))),
        ],
        "errors": [f"{row} 2.3" for row in rows()],
        "ends of lines": [f"{row};" for row in rows(form="{:.3f};{:.4f}")],
    }
    for name, lines in writings.items():
        read = read_one(tmp_path / name, lines)
        np.testing.assert_allclose(read.velocity, plain.velocity, atol=0.01, err_msg=name)
        np.testing.assert_allclose(read.flux, plain.flux, atol=0.001, err_msg=name)


def test_a_third_column_is_named_as_left_out(tmp_path, caplog):
    read_one(tmp_path / "a", [f"{row} 2.3" for row in rows()])
    assert "CIG5_x.asc: its third column (errors of the flux?) is not used" in caplog.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1_000 2", "line 3: '1_000' is no number"),
        ("4000 " + "9" * 5000, "line 3: '" + "9" * 40 + "' is beyond the range"),
        ("4000 1e999", "line 3: '1e999' is beyond the range"),
        ("٤٠٠٠ 2", "line 3: '٤٠٠٠' is no number"),
        ("4000 " + "x" * 100_000, "line 3: '" + "x" * 40 + "' is no number"),
        ('4000 "2', "line 3"),
        ("4000 \0", "is no text file"),
        ("-" * 200_000, "is no number"),
    ],
)
def test_cells_that_are_no_numbers_are_named(tmp_path, line, said):
    (tmp_path / "CIG6_x.asc").write_text("\n".join(rows()))
    spectra = read_one(tmp_path, [*rows()[:2], line, *rows()[2:]])
    if spectra.skipped.empty:  # a quote that is never closed
        assert len(spectra) == 2
    else:
        assert said in spectra.skipped["reason"].iloc[0]
        assert len(spectra.skipped["reason"].iloc[0]) < 300


# arrays

SERIES = np.random.default_rng(0).normal(0, 1, (6, 40))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rms": np.inf}, "rms has to be one positive number, 6 of them, or one a sample, and finite"),
        ({"rms": -np.ones(6)}, "rms has to be one positive number"),
        ({"y": [0.0, 1e30] * 3}, r"y has the label 1e\+30; beyond 2\^53"),
        ({"y": [0.0, 2.0**53 + 2] * 3}, r"beyond 2\^53"),
        ({"y": [0.0, np.inf] * 3}, "y has the label inf"),
        ({"y": np.array([0, 10**19], dtype=np.uint64).repeat(3)}, "the class 10000000000000000000 has 20 digits"),
        ({"y": ["1" * 5000, "2"] * 3}, "has 5000 digits"),
        ({"ids": np.array([b"\xff%d" % i for i in range(6)])}, r"ids has the bytes b'\\xff0', which are not UTF-8"),
        ({"y": np.array([b"\xff", b"a"] * 3)}, "y has the bytes"),
    ],
)
def test_arrays_that_cannot_be_meant_so(tmp_path, content, said):
    np.savez(tmp_path / "x.npz", X=SERIES, **content)
    with pytest.raises(InputError, match=said) as caught:
        read_arrays(str(tmp_path / "x.npz"))
    assert "x.npz" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_whole_number_labels_are_never_merged(tmp_path):
    labels = np.array([2**53, 2**53 + 1] * 3)
    np.savez(tmp_path / "x.npz", X=SERIES, y=labels - 2**53 + 10**14)
    assert set(read_arrays(str(tmp_path / "x.npz")).reference) == {10**14, 10**14 + 1}
    np.savez(tmp_path / "x.npz", X=SERIES, y=-labels)
    spectra = read_arrays(str(tmp_path / "x.npz"))
    assert spectra.catalogue["class_name"].tolist() == [str(-label) for label in labels]
    assert set(spectra.reference) == {0, 1}


def test_values_beyond_single_precision_are_skipped_and_listed(tmp_path):
    series = SERIES.copy()
    series[2, 5] = 1e39
    np.savez(tmp_path / "x.npz", X=series)
    spectra = read_arrays(str(tmp_path / "x.npz"))
    assert spectra.ids.tolist() == ["1", "2", "4", "5", "6"]
    assert spectra.skipped.to_numpy().tolist() == [
        ["3", "a value of 1e+39 is beyond single precision; rescale the series"]
    ]


def test_words_that_look_like_missing_values_are_kept_and_those_without_a_class_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    rows_of = [("NA", "None"), ("null", "Double"), ("x", ""), ("nan", "N/A"), ("y", "?"), ("z", "Double")]
    lines = [f"{name},{label},1,2,{i}" for i, (name, label) in enumerate(rows_of)]
    (tmp_path / "x.csv").write_text("id,class,a,b,c\n" + "\n".join(lines))
    spectra = read_arrays(str(tmp_path / "x.csv"))
    assert spectra.ids.tolist() == ["NA", "null", "x", "nan", "y", "z"]
    assert spectra.catalogue["class_name"].tolist() == ["None", "Double", "", "N/A", "", "Double"]
    ReferenceLabels(3).eligible(spectra.reference, 6)
    assert "2 of 6 objects have no reference class and take no part" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class,label,a,b\n0,1,1,2\n", "columns 'class' and 'label' for one thing, the labels; leave one"),
        ("a,b\n" + "9" * 30 + ",1\n" + "9" * 30 + ",1\n", "column a has '9+', 30 digits"),
        ("velocity,flux\n" + "\n".join(rows(form="{:.3f},{:.4f}")), "one spectrum in columns.*dataset=cig reads"),
        (
            ",velocity,flux\n" + "\n".join(f"{i},{r}" for i, r in enumerate(rows(form="{},{}"))),
            "one spectrum in columns",
        ),
    ],
)
def test_tables_that_are_no_series(tmp_path, text, said):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_arrays(str(tmp_path / "x.csv"))


# the inputs that failed

AGC15 = {"position": (11565, 5), "w50": (518, 5), "flux_int": (3.2, 0.05)}
READ = {
    "axis/CIG7_asMHz.asc": ({"axis_unit": "MHz"}, {"position": (4300, 10), "w50": (200, 10), "flux_int": (2.4, 0.1)}),
    "axis/CIG8_asms.asc": ({"axis_unit": "m/s"}, {"position": (-57, 3), "w50": (80, 3), "flux_int": (72, 2)}),
    "axis/CIG3_channels1132.asc": (
        {"channel_width": -4.2, "flux_unit": "Jy"},
        {"w50": (147, 25), "flux_int": (0.87, 0.1)},
    ),
    "columns/CIG15_three_columns.asc": ({}, AGC15),
    "columns/fast.csv": ({}, {"position": (8785, 10)}),
    "text/CIG15_fortran_D.asc": ({}, AGC15),
    "text/CIG15_quoted.asc": ({}, AGC15),
    "text/CIG15_header_number.asc": ({}, AGC15),
    "text/CIG15_comma_decimal_semicolon.asc": ({}, AGC15),
    "text/CIG15_fill999.asc": ({}, AGC15),
    "text/CIG15_ms.asc": ({"axis_unit": "m/s"}, AGC15),
    "text/CIG15_ghz.asc": ({"axis_unit": "GHz"}, AGC15),
    "noise/CIG15_trimmed.asc": ({}, AGC15),
}


@pytest.mark.parametrize("name", READ)
def test_faulty_text_is_read_right(faults, tmp_path, name):
    options, truth = READ[name]
    spectra = read_one(tmp_path / "a", faults / name, **options)
    table = fit_busy(spectra).table.iloc[0]
    for column, (value, tolerance) in truth.items():
        assert table[column] == pytest.approx(value, abs=tolerance), column
    if "trimmed" in name:
        assert spectra.rms[0] == pytest.approx(2.64, rel=0.2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("axis/CIG7_asMHz.asc", "it looks like MHz"),
        ("axis/CIG8_asms.asc", "it looks like m/s"),
        ("axis/CIG3_channels1132.asc", "counts channels, 1132 to 1202"),
        ("text/CIG15_ms.asc", "it looks like m/s"),
        ("text/CIG15_ghz.asc", "it looks like GHz"),
    ],
)
def test_faulty_text_is_refused_without_its_unit(faults, tmp_path, name, said):
    with pytest.raises(InputError, match=said):
        read_one(tmp_path / "a", faults / name)


ARRAYS = {
    "arrays/csv-huge-int-col.csv": "column a has '9+', 30 digits",
    "arrays/csv-two-classes.csv": "columns 'class' and 'label' for one thing",
    "arrays/ids-bytes-latin.npz": "ids has the bytes",
    "arrays/rms-inf.npz": "rms has to be one positive number",
    "arrays/y-1e30.npz": r"y has the label 1e\+30",
    "axis/mhz.npz": "it looks like MHz",
    "columns/fast.csv": "one spectrum in columns",
}


@pytest.mark.parametrize("name", ARRAYS)
def test_faulty_arrays_are_refused(faults, name):
    with pytest.raises(InputError, match=ARRAYS[name]) as caught:
        read_arrays(str(faults / name))
    assert Path(name).name in str(caught.value)


def test_faulty_arrays_are_read_right(faults, caplog):
    table = fit_busy(read_arrays(str(faults / "arrays/fill-999.npz"))).table
    np.testing.assert_allclose(table["w50"].iloc[:2], 518, atol=2)
    assert "hold the fill value -999" in caplog.text
    for name in ("id_NA", "shapes"):
        spectra = read_arrays(str(faults / f"arrays/{name}.csv"))
        assert ("NA" in spectra.ids) == (name == "id_NA")
        assert set(spectra.catalogue["class_name"]) == {"None", "Single", "Double"}
        assert len(spectra) == 40


def test_channels_blanked_with_zeros_are_masked(faults):
    with fits.open(faults / "noise/zeros.fits") as hdus:
        table = hdus[1].data
        velocity, flux = (np.array(table[name], float).ravel() for name in ("VHELIO", "FLUX"))
    given = flux != 0
    cleaned = clean(velocity, flux, np.ones(flux.size, bool))
    assert np.count_nonzero(~given) == 300
    assert cleaned.rms == clean(velocity, flux, given).rms > 0
    assert np.count_nonzero(cleaned.valid) <= np.count_nonzero(given)


def test_the_noise_of_real_spectra_stays_to_the_digit(appss):
    known = [0.885945, 0.914740, 0.574358, 1.058627, 0.950438, 0.999218, 0.829062]
    known += [0.874992, 1.238278, 0.941802, 0.841147, 1.080718, 0.993958]
    assert read_alfalfa(str(appss)).rms.round(6).tolist() == known


@pytest.mark.slow
def test_the_command_says_what_it_masked_and_refused(tmp_path):
    folder = tmp_path / "spectra"
    folder.mkdir()
    flux = FLUX.copy()
    flux[100:140] = -999
    (folder / "CIG1_x.asc").write_text("\n".join(rows(flux=flux)))
    (folder / "CIG2_x.asc").write_text("\n".join(rows(IN_UNIT["MHz"], form="{:.6f} {:.4f}")))
    words = ["dataset=cig", "dataset.path=spectra", "labels=cluster", "tracking=none"]
    result = command("hiexp.fit", "dataset=cig", "dataset.path=spectra", "fit=none", "tracking=none", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    said = result.stdout + result.stderr
    assert "CIG1_x.asc: 40 channels hold the fill value -999 and are masked" in said
    assert "Skipped 1 of 2 objects" in said
    (skipped,) = tmp_path.glob("runs/*/*/skipped.csv")
    assert "it looks like MHz; give dataset.axis_unit=MHz" in skipped.read_text()
    unused = train(*words, "dataset.channel_width=5", cwd=tmp_path)
    assert unused.returncode == 1
    assert "dataset.channel_width=5 is not used" in unused.stderr
