"""Hundreds of mutations of good files: each is read right, skipped with a reason or refused, and nothing else."""

import gzip

import numpy as np
import pytest
from astropy.table import Table
from test_alfalfa import write_spectrum
from test_catalogue import cds, cds_gz, cornell, fits_table, utf16, vizier, votable

from hiexp.datasets import read_alfalfa, read_cig
from hiexp.datasets.arecibo import LIGHT_SPEED
from hiexp.datasets.catalogue import read_agc_catalogue
from hiexp.errors import InputError


def mutated(content, rng):
    """Return the content with one thing wrong, or a few: bits, order, length, junk, or words where numbers were."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, other = rng.integers(0, max(len(content), 1), 2)
        match rng.integers(0, 8):
            case 0 | 1:
                content[place : place + 1] = bytes(value ^ 1 << rng.integers(0, 8) for value in content[place:][:1])
            case 2:
                del content[max(place, 1) :]
            case 3:
                first, second = content[place:][:1], content[other:][:1]
                content[place : place + 1], content[other : other + 1] = second, first
            case 4:
                content[place:place] = rng.bytes(rng.integers(1, 40))
            case 5:
                content[place : place + 40] = bytes(len(content[place : place + 40]))
            case 6:
                word = rng.choice([b"-1", b"NaN", b"inf", b"1e999", b"99999999999999999999", b"None", b'"', b"\xff"])
                content[place : place + len(word)] = word
            case 7:
                del content[place : place + rng.integers(1, 80)]
    return bytes(content)


@pytest.mark.parametrize("compress", [bytes, lambda content: gzip.compress(content, mtime=0)], ids=["plain", "gzip"])
def test_mutated_spectra(tmp_path, compress):
    rng = np.random.default_rng(1)
    name = "A{:06d}.fits" if compress is bytes else "A{:06d}.fits.gz"
    whole = compress(write_spectrum(tmp_path / "whole.bin").read_bytes())
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / name.format(999)).write_bytes(whole)
    for number in range(1, 251):
        (folder / name.format(number)).write_bytes(mutated(whole, rng))
    spectra = read_alfalfa(str(folder))
    assert spectra.ids[-1] == "000999"
    assert len(spectra) + len(spectra.skipped) == 251
    assert not spectra.skipped["reason"].str.startswith("cannot be used (").any()  # the net below all else
    assert np.isfinite(spectra.flux).all()
    assert np.isfinite(spectra.rms).all()
    assert (spectra.rms > 0).all()
    assert (np.diff(spectra.velocity, axis=1) > 0).all()
    assert (np.abs(spectra.velocity) < LIGHT_SPEED * 1.1).all()
    if compress is not bytes:
        # What is read is what was written: only the name and the time in gzip's own header can differ.
        same = np.broadcast_to(spectra.flux[-1], spectra.flux.shape)
        np.testing.assert_array_equal(spectra.flux, same)
        assert len(spectra.skipped) > 200


@pytest.mark.slow
@pytest.mark.parametrize("form", [cornell, vizier, utf16, cds, cds_gz, votable, fits_table], ids=lambda f: f.__name__)
def test_mutated_catalogues(tmp_path, form):
    rng = np.random.default_rng(2)
    file = form(tmp_path)
    files = [file] + ([tmp_path / "ReadMe"] if (tmp_path / "ReadMe").exists() else [])
    whole, _ = read_agc_catalogue(str(file))
    refused = 0
    for number in range(150):
        damaged = files[number % len(files)]
        content = damaged.read_bytes()
        damaged.write_bytes(mutated(content, rng))
        try:
            catalogue, _ = read_agc_catalogue(str(file))
        except InputError as error:
            refused += 1
            assert file.name in str(error)
            assert len(str(error)) < 1000
            assert "\n" not in str(error)
        else:
            assert catalogue.index.str.fullmatch("[0-9]{6,12}").all()
            if "Vhel" in catalogue:
                assert not np.isinf(catalogue["Vhel"]).any()
            if form is cds_gz and damaged == file:
                assert catalogue.equals(whole)
        damaged.write_bytes(content)
    assert 0 < refused < 150


CLASSES = Table({"CIG": [1, 2], "Class": [0, 2], "name": ["NGC 1", "None"]})


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "votable", "fits", "fits.gz"])
def test_mutated_class_tables(tmp_path, form):
    rng = np.random.default_rng(3)
    velocity = 4000 + 10 * np.arange(64)
    for number in (1, 2):
        np.savetxt(tmp_path / f"CIG{number}_x.asc", np.c_[velocity, rng.normal(size=64)])
    file = tmp_path / f"classes.{form}"
    CLASSES.write(file, format=form.partition(".")[0])
    content = file.read_bytes()
    known = 0
    for _ in range(150):
        file.write_bytes(mutated(content, rng))
        try:
            reference = read_cig(str(tmp_path), classes_file=str(file)).reference
        except InputError as error:
            assert file.name in str(error)
        else:
            known += 1
            assert reference.shape == (2,)
            assert ((reference >= -1) & (reference < 10**9)).all()
            assert form != "fits.gz" or reference.tolist() == [0, 2]
    assert known
