"""Catalogues of any survey, joined to spectra by name or by position."""

import logging

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.table import Table
from helpers.layouts import CENTRES, NAMES, OPTICAL, lines
from helpers.shared import SHARED

from hiexp.datasets import read_sofia, read_spectra
from hiexp.errors import InputError

RA, DEC = 150.0 + np.arange(len(NAMES)), np.linspace(-5, 5, len(NAMES))


@pytest.fixture
def folder(tmp_path):
    """FITS-like text of each object, and its position in an ECSV header."""
    (tmp_path / "spectra").mkdir()
    for name, flux, ra, dec in zip(NAMES, lines(), RA, DEC, strict=True):
        table = Table(
            {"VHELIO": OPTICAL * u.km / u.s, "FLUX": flux * u.mJy}, meta={"RA": ra, "DEC": dec, "OBJECT": name}
        )
        table.write(tmp_path / "spectra" / f"{name}.ecsv")
    return tmp_path


def read(folder, **said):
    return read_spectra(str(folder / "spectra"), convention="optical", **said)


def written(folder, columns, name="catalogue.csv", **how):
    file = folder / name
    Table(columns).write(file, **how)
    return str(file)


def flux():
    return np.arange(1.0, len(NAMES) + 1)


def test_rows_are_joined_by_name_whatever_its_writing(folder):
    names = [f" {name.lower()} " for name in NAMES]
    file = written(
        folder, {"Source": names[::-1], "f_sum": flux()[::-1], "v": CENTRES[::-1], "type": ["Sb"] * len(NAMES)}
    )
    spectra = read(folder, catalogue=file, catalogue_columns={"HIflux": "f_sum", "Vhel": "v"})
    known = spectra.catalogue.loc[NAMES]
    np.testing.assert_allclose(known["HIflux"], flux())
    np.testing.assert_allclose(known["Vhel"], CENTRES)
    np.testing.assert_allclose(known["RAJ2000"], RA)
    assert (known["type"] == "Sb").all()
    np.testing.assert_allclose(spectra.systemic, spectra.catalogue["Vhel"])
    assert spectra.unmatched.empty


@pytest.mark.parametrize("form", ["degrees", "sexagesimal"])
def test_rows_are_joined_by_position(folder, form):
    degrees = {"RAJ2000": RA + 2 / 3600, "DEJ2000": DEC}
    sky = {
        "RAJ2000": [_sexagesimal(ra / 15) for ra in degrees["RAJ2000"]],
        "DEJ2000": [_sexagesimal(dec) for dec in DEC],
    }
    file = written(folder, (degrees if form == "degrees" else sky) | {"HIflux": flux()})
    known = read(folder, catalogue=file, match_radius="5arcsec").catalogue
    np.testing.assert_allclose(known.loc[NAMES, "HIflux"], flux())
    with pytest.raises(InputError, match="objects is within 1arcsec of a row"):
        read(folder, catalogue=file, match_radius="1arcsec")


def _sexagesimal(value):
    sign, value = "-" if value < 0 else "+", abs(value)
    minutes = (value % 1) * 60
    return f"{sign}{int(value):02d} {int(minutes):02d} {minutes % 1 * 60:08.5f}"


@pytest.mark.parametrize("form", ["votable", "ecsv", "fits"])
def test_units_that_a_file_states_are_converted(folder, form):
    frequency = 1420.40575177e6 / (1 + np.array(CENTRES) / 299_792.458)
    columns = {
        "name": NAMES,
        "freq": frequency * u.Hz,
        "HIflux": flux() * 1e3 * u.mJy * u.km / u.s,
        "W50": np.full(len(NAMES), 2e5) * u.m / u.s,
        "Dist": np.full(len(NAMES), 3e4) * u.kpc,
    }
    how = {"votable": {"format": "votable"}, "ecsv": {"format": "ascii.ecsv"}, "fits": {"format": "fits"}}[form]
    file = written(folder, columns, f"catalogue.{form}", **how)
    known = read(folder, catalogue=file, catalogue_columns={"Vhel": "freq"}).catalogue.loc[NAMES]
    np.testing.assert_allclose(known["Vhel"], CENTRES, rtol=1e-6)
    np.testing.assert_allclose(known["HIflux"], flux())
    np.testing.assert_allclose(known["W50"], 200)
    np.testing.assert_allclose(known["Dist"], 30)


def test_a_unit_of_something_else_is_refused(folder):
    file = written(folder, {"name": NAMES, "HIflux": flux() * u.K}, "c.ecsv", format="ascii.ecsv")
    with pytest.raises(InputError, match=r"HIflux is in 'K', which does not become Jy km/s; give another column"):
        read(folder, catalogue=file)


def test_numbers_with_leading_zeros_are_one_name(tmp_path):
    for number in ("000015", "000160"):
        pd.DataFrame({"velocity (km/s)": OPTICAL, "flux (mJy)": lines()[0]}).to_csv(
            tmp_path / f"A{number}.csv", index=False
        )
    (tmp_path / "c.txt").write_text("AGC HIflux\n15 2.5\n160 3.5\n999 1.0\n")
    spectra = read_spectra(
        str(tmp_path / "A*.csv"),
        convention="optical",
        id="A([0-9]+)",
        catalogue=str(tmp_path / "c.txt"),
        catalogue_id="AGC",
    )
    assert spectra.catalogue["HIflux"].tolist() == [2.5, 3.5]
    assert spectra.unmatched.to_numpy().tolist() == [["999", "a row of the catalogue without a spectrum"]]


def test_names_that_are_numbers_keep_their_digits(tmp_path):
    """A number would lose the last digits of the first, and the last zero of the second."""
    names = ["1237648720693755918", "1234.10"]
    for name, one in zip(names, lines(), strict=False):
        table = Table({"VHELIO": OPTICAL * u.km / u.s, "FLUX": one * u.mJy}, meta={"OBJECT": name})
        table.write(tmp_path / f"{name}.ecsv")
    (tmp_path / "catalogue.csv").write_text("ID,Vhel\n1234.10,5000\n1237648720693755918,6000\n,7000\n")
    spectra = read_spectra(
        str(tmp_path / "*.ecsv"), convention="optical", catalogue=str(tmp_path / "catalogue.csv"), catalogue_id="ID"
    )
    assert spectra.catalogue.loc[names, "Vhel"].tolist() == [6000, 5000]


def test_a_position_that_is_missing_costs_no_other(folder):
    ra = [*(Angle(RA[:-1], "deg").to_string("hour", sep=" ", precision=3)), "--"]
    dec = [*(Angle(DEC[:-1], "deg").to_string("deg", sep=" ", precision=3)), "--"]
    file = written(folder, {"ra": ra, "dec": dec, "HIflux": flux()}, delimiter="\t", format="ascii.basic")
    known = read(folder, catalogue=file, match_radius="10arcsec").catalogue.loc[NAMES, "HIflux"]
    assert known.isna().tolist() == [False] * (len(NAMES) - 1) + [True]


def test_redshifts_are_no_velocities(folder):
    file = written(folder, {"name": NAMES, "z": np.array(CENTRES) / 3e5})
    with pytest.raises(InputError, match=r"Vhel is 0\.0.* looks like redshifts; give a column in km/s"):
        read(folder, catalogue=file, catalogue_columns={"Vhel": "z"})


def test_what_has_no_partner_stays_as_it_is_and_is_told(folder):
    file = written(folder, {"name": [*NAMES[:2], "another"], "Vhel": [-9999.0, CENTRES[1], 5.0]})
    spectra = read(folder, catalogue=file)
    assert len(spectra) == len(NAMES)
    assert spectra.unmatched["name"].tolist()[-1] == "another"
    assert np.isfinite(spectra.systemic).sum() == 1  # -9999 is no velocity of a galaxy
    assert np.isfinite(spectra.catalogue["RAJ2000"]).all()


FAULTS = {
    "no file": ({"catalogue": "nowhere.csv"}, {}, "nowhere.csv"),
    "no names": ({}, {"a": flux()}, "no column id or name, it has a; give dataset.catalogue_id=COLUMN"),
    "another column": ({"catalogue_id": "b"}, {"name": NAMES, "f": flux()}, "no column b, it has name, f"),
    "a column that is not there": (
        {"catalogue_columns": {"Vhel": "v"}},
        {"name": NAMES, "f": flux()},
        "catalogue_columns.Vhel=v",
    ),
    "other names": ({}, {"name": [f"x{k}" for k in range(len(NAMES))]}, "none of .* objects is in its column name"),
    "a radius without unit": ({"match_radius": "10"}, {"ra": RA, "dec": DEC}, "give an angle with its unit"),
    "a radius of 0": ({"match_radius": "0arcsec"}, {"ra": RA, "dec": DEC}, "give an angle above 0"),
    "no positions": ({"match_radius": "10arcsec"}, {"name": NAMES, "f": flux()}, "no position"),
    "no angles": ({"match_radius": "10arcsec"}, {"ra": ["x"] * len(NAMES), "dec": DEC}, "what is no angle"),
    "two columns for one": (
        {"catalogue_columns": {"W50": "a", "W20": "a"}},
        {"name": NAMES, "a": flux()},
        "a is given for W50 and W20",
    ),
    "one row for two": ({"match_radius": "100deg"}, {"ra": RA[:1], "dec": DEC[:1]}, "row 1 is that of two spectra"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_line(folder, name):
    said, columns, message = FAULTS[name]
    said = {"catalogue": written(folder, columns) if columns else "", **said}
    with pytest.raises(InputError, match=message) as raised:
        read(folder, **said)
    assert "\n" not in str(raised.value)


def test_keys_without_a_catalogue_are_refused(folder):
    with pytest.raises(InputError, match=r"dataset\.catalogue is not given"):
        read(folder, match_radius="10arcsec")


def test_the_real_catalogue_by_number_and_by_position(appss, caplog):
    file = SHARED / "data" / "a100.code12.table2.190808.csv"
    if not file.is_file():
        pytest.skip("the whole catalogue (../shared/data) is not on this machine")
    with caplog.at_level(logging.INFO):
        by_name = read_spectra(f"{appss}/*.fits", id="A([0-9]+)", catalogue=str(file), catalogue_id="AGCNr")
    by_position = read_spectra(f"{appss}/*.fits", id="A([0-9]+)", catalogue=str(file), match_radius="1arcmin")
    joined = by_name.catalogue["HIflux"].notna()
    assert joined.sum() >= 1
    pd.testing.assert_series_equal(
        by_name.catalogue.loc[joined, "HIflux"], by_position.catalogue.loc[joined, "HIflux"]
    )
    assert f"joined to {joined.sum()} of 13 objects" in caplog.text


def test_sofia_takes_another_catalogue_by_position(tmp_path):
    products = SHARED / "data" / "sofia2" / "vrad"
    if not products.is_dir():
        pytest.skip("SoFiA's products (../shared/data/sofia2) are not on this machine")
    known = read_sofia(str(products)).catalogue
    file = written(tmp_path, {"ra": known["RAJ2000"], "dec": known["DEJ2000"], "logMHI": known["HIflux"]})
    joined = read_sofia(str(products), catalogue=file, match_radius="2arcsec").catalogue
    np.testing.assert_allclose(joined["logMHI"], known["HIflux"])
    np.testing.assert_allclose(joined["W50"], known["W50"])
