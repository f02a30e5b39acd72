"""The reader of Arecibo archives, on real spectra and on files with faults."""

import numpy as np
import pytest
from astropy.io import fits

from hiexp.datasets import read_alfalfa
from hiexp.errors import InputError

N = 256


def write_spectrum(file, *, change=None, header=None, n=N):
    """Write a spectrum in the layout of the archive: a line of 10 mJy in noise of 1 mJy, velocity descending."""
    velocity = 5000 - 5.0 * np.arange(n)
    flux = np.random.default_rng(n).normal(0, 1, n) + 10 * np.exp(-0.5 * ((velocity - 4400) / 40) ** 2)
    columns = {"VHELIO": velocity, "FLUX": flux, "WEIGHT": np.ones(n)}
    if change:
        change(columns)
    table = fits.BinTableHDU.from_columns([fits.Column(name, "D", array=values) for name, values in columns.items()])
    table.header.update({"V21SYS": 4400.0, "NANVALUE": -999.0} | (header or {}))
    table.writeto(file)
    return file


def set_to(name, where, value):
    def change(columns):
        columns[name][where] = value

    return change


def test_real_spectra(appss):
    spectra = read_alfalfa(str(appss))
    assert spectra.ids.tolist()[:2] == ["102855", "104505"]
    assert spectra.flux.shape == (13, 2048)
    assert np.all(np.diff(spectra.velocity, axis=1) > 0)
    assert np.isfinite(spectra.flux).all()
    assert spectra.catalogue["Vhel"].between(2000, 12000).all()
    assert spectra.skipped.empty
    # The interference of -259 mJy in A113910 and all that is weighted 0 is gone.
    assert spectra.flux.min() > -5
    assert np.all(spectra.flux[~spectra.valid] == 0)
    for row, name in enumerate(spectra.ids):
        weight = fits.getdata(appss / f"A{name}.fits", 1)["WEIGHT"]
        assert (~spectra.valid[row]).sum() >= (weight == 0).sum()


def test_real_noise_agrees_with_the_reference(appss):
    pandas = pytest.importorskip("pandas")
    reference = pandas.read_csv(appss.parent / "busyfit_reference" / "appss.csv").set_index("id")["rms"]
    spectra = read_alfalfa(str(appss))
    np.testing.assert_allclose(spectra.rms, reference.loc[[f"A{name}" for name in spectra.ids]], rtol=0.06)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -999.0])
def test_missing_values_are_masked(tmp_path, missing):
    write_spectrum(tmp_path / "A000001.fits", change=set_to("FLUX", slice(10, 20), missing))
    spectra = read_alfalfa(str(tmp_path))
    # Velocity descends in the file: its channel 10 is the 11th from the end.
    assert not spectra.valid[0, N - 20 : N - 10].any()
    assert spectra.valid[0].sum() == N - 10


@pytest.mark.parametrize("height", [-259.0, 400.0])
def test_interference_is_masked_with_its_neighbours(tmp_path, height):
    def spoil(columns):
        columns["FLUX"][59:62] += [height / 2, height, height / 2]

    write_spectrum(tmp_path / "A000001.fits", change=spoil)
    spectra = read_alfalfa(str(tmp_path))
    assert np.abs(spectra.flux).max() < 15
    assert not spectra.valid[0, N - 1 - 61 : N - 1 - 58].any()
    assert spectra.valid[0].sum() > N - 10


def test_a_strong_line_is_no_interference(tmp_path):
    def brighten(columns):
        columns["FLUX"] += 300 * np.exp(-0.5 * ((columns["VHELIO"] - 4400) / 12) ** 2)

    write_spectrum(tmp_path / "A000001.fits", change=brighten)
    assert read_alfalfa(str(tmp_path)).valid.all()


def test_shorter_spectra_are_padded_with_masked_channels(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "A000002.fits", n=N + 50)
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.flux.shape == (2, N + 50)
    assert not spectra.valid[0, N:].any()
    assert np.all(np.diff(spectra.velocity, axis=1) > 0)


FAULTS = {
    "no fits": (lambda file: file.write_text("hello"), "FITS"),
    "empty file": (lambda file: file.write_bytes(b""), "FITS"),
    "no table": (lambda file: fits.PrimaryHDU(np.zeros((3, 3))).writeto(file), "no table"),
    "wrong columns": (
        lambda file: write_spectrum(file, change=lambda columns: columns.update(F=columns.pop("FLUX"))),
        "no column FLUX",
    ),
    "all NaN": (lambda file: write_spectrum(file, change=set_to("FLUX", slice(None), np.nan)), "0 of 256 channels"),
    "all weights zero": (
        lambda file: write_spectrum(file, change=set_to("WEIGHT", slice(None), 0)),
        "0 of 256 channels",
    ),
    "constant": (lambda file: write_spectrum(file, change=set_to("FLUX", slice(None), 3.0)), "constant flux"),
    "velocity NaN": (lambda file: write_spectrum(file, change=set_to("VHELIO", 3, np.nan)), "VHELIO"),
    "truncated": (
        lambda file: file.write_bytes(write_spectrum(file.with_name("whole.bin")).read_bytes()[:7000]),
        "truncated",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_skipped_with_its_reason(tmp_path, fault, recwarn):
    make, said = FAULTS[fault]
    write_spectrum(tmp_path / "A000001.fits")
    make(tmp_path / "A000002.fits")
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.ids.tolist() == ["000001"]
    assert spectra.skipped["name"].tolist() == ["A000002.fits"]
    assert said in spectra.skipped["reason"].iloc[0]
    assert not recwarn


def test_only_bad_files_are_an_error(tmp_path):
    (tmp_path / "A000001.fits").write_text("hello")
    with pytest.raises(InputError, match=r"none of its 1 files can be used.*A000001\.fits"):
        read_alfalfa(str(tmp_path))


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        read_alfalfa(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no A######\.fits"):
        read_alfalfa(str(tmp_path))
