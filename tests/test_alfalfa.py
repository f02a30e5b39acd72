"""The reader of Arecibo archives, on real spectra and on files with faults."""

import numpy as np
import pytest
from astropy.io import fits

from hiexp.datasets import read_alfalfa
from hiexp.errors import InputError

N = 256


def write_spectrum(file, *, change=None, header=None, n=N, units=None):
    """Write a spectrum in the layout of the archive: a line of 10 mJy in noise of 1 mJy, velocity descending."""
    velocity = 5000 - 5.0 * np.arange(n)
    flux = np.random.default_rng(n).normal(0, 1, n) + 10 * np.exp(-0.5 * ((velocity - 4400) / 40) ** 2)
    columns = {"VHELIO": velocity, "FLUX": flux, "WEIGHT": np.ones(n)}
    if change:
        change(columns)
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "D", array=values, unit=(units or {}).get(name)) for name, values in columns.items()]
    )
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


def test_the_older_layout_is_a_row_of_arrays(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    table = fits.getdata(tmp_path / "A000001.fits", 1)
    columns = [
        fits.Column(name, f"{N}D", array=table[source][None], unit=unit)
        for name, source, unit in (
            ("VHELIO", "VHELIO", "KM/S"),
            ("FREQ", "VHELIO", "MHz"),
            ("FLUXDENS", "FLUX", "mJy"),
        )
    ]
    (tmp_path / "older").mkdir()
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "older" / "A000001.fits")
    newer, older = read_alfalfa(str(tmp_path)), read_alfalfa(str(tmp_path / "older"))
    np.testing.assert_array_equal(older.flux, newer.flux)
    np.testing.assert_array_equal(older.velocity, newer.velocity)
    assert np.isnan(older.systemic).all()


def test_units_of_the_header_are_heeded(tmp_path):
    def in_si(columns):
        columns["VHELIO"] *= 1000
        columns["FLUX"] /= 1000

    (tmp_path / "si").mkdir()
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "si" / "A000001.fits", change=in_si, units={"VHELIO": "m/s", "FLUX": "Jy"})
    plain, si = read_alfalfa(str(tmp_path)), read_alfalfa(str(tmp_path / "si"))
    np.testing.assert_allclose(si.flux, plain.flux, rtol=1e-6)
    np.testing.assert_allclose(si.velocity, plain.velocity)


def test_a_gap_in_velocity_becomes_masked_channels(tmp_path):
    def cut(columns):
        for name in columns:
            columns[name] = np.delete(columns[name], slice(100, 110))

    write_spectrum(tmp_path / "A000001.fits", change=cut)
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.flux.shape == (1, N)
    assert (~spectra.valid[0]).sum() == 10
    np.testing.assert_allclose(np.diff(spectra.velocity[0]), 5.0)


def test_the_noise_is_that_of_the_channels_without_a_line(tmp_path):
    def broaden(columns):
        columns["FLUX"] += 6 * (np.abs(columns["VHELIO"] - 4400) < 250)

    write_spectrum(tmp_path / "A000001.fits", change=broaden)
    assert read_alfalfa(str(tmp_path)).rms[0] == pytest.approx(1.0, abs=0.15)


def test_a_folder_is_read_once_until_it_changes(tmp_path):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A000001.fits")
    (folder / "A000002.fits").write_text("hello")
    first = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    made = pack.stat().st_mtime_ns
    second = read_alfalfa(str(folder), cache=str(cache))
    assert pack.stat().st_mtime_ns == made
    for name in ("ids", "velocity", "flux", "valid", "rms", "systemic"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert second.skipped.equals(first.skipped)
    write_spectrum(folder / "A000003.fits")
    assert read_alfalfa(str(folder), cache=str(cache)).ids.tolist() == ["000001", "000003"]
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_pack_is_made_anew(tmp_path):
    folder, cache = tmp_path / "spectra", tmp_path / "cache"
    folder.mkdir()
    write_spectrum(folder / "A000001.fits")
    whole = read_alfalfa(str(folder), cache=str(cache))
    (pack,) = cache.iterdir()
    for length in (0, 100, pack.stat().st_size // 2, pack.stat().st_size - 10):
        pack.write_bytes(pack.read_bytes()[:length])
        np.testing.assert_array_equal(read_alfalfa(str(folder), cache=str(cache)).flux, whole.flux)
    assert list(cache.iterdir()) == [pack]


def test_many_files_are_read_in_parallel_as_in_series(tmp_path):
    whole = write_spectrum(tmp_path / "A000001.fits").read_bytes()
    for number in range(2, 401):
        (tmp_path / f"A{number:06d}.fits").write_bytes(whole)
    (tmp_path / "A000200.fits").write_text("hello")
    spectra = read_alfalfa(str(tmp_path))
    assert len(spectra) == 399
    assert spectra.skipped["name"].tolist() == ["A000200.fits"]
    np.testing.assert_array_equal(spectra.flux, np.tile(spectra.flux[0], (399, 1)))


FAULTS = {
    "unknown unit": (
        lambda file: write_spectrum(file, units={"FLUX": "K"}),
        "FLUX is in 'K', which cannot be converted to mJy",
    ),
    "uneven channels": (
        lambda file: write_spectrum(file, change=set_to("VHELIO", slice(0, 100), 9000 - 7.3 * np.arange(100))),
        "not evenly spaced",
    ),
    "repeated velocities": (
        lambda file: write_spectrum(file, change=set_to("VHELIO", 5, 4970.0)),
        "not evenly spaced",
    ),
    "far gap": (lambda file: write_spectrum(file, change=set_to("VHELIO", 0, 9000.0)), "channels are missing"),
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
    "velocities in m/s without unit": (
        lambda file: write_spectrum(file, change=lambda columns: columns.update(VHELIO=columns["VHELIO"] * 1000)),
        "beyond the speed of light",
    ),
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


def test_a_second_file_of_the_same_galaxy_is_skipped(tmp_path):
    write_spectrum(tmp_path / "A000001.fits")
    write_spectrum(tmp_path / "A1.fits")
    spectra = read_alfalfa(str(tmp_path))
    assert spectra.ids.tolist() == ["000001"]
    assert spectra.skipped["reason"].tolist() == ["a second spectrum of AGC 000001; the first is used"]


def test_only_bad_files_are_an_error(tmp_path):
    (tmp_path / "A000001.fits").write_text("hello")
    with pytest.raises(InputError, match=r"none of its 1 files can be used.*A000001\.fits"):
        read_alfalfa(str(tmp_path))


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        read_alfalfa(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no A######\.fits"):
        read_alfalfa(str(tmp_path))
