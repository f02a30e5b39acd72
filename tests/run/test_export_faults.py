"""Tables for a paper, read again by astropy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.lines import AXIS, configured, gaussian, make_spectra

from hiexp.run.export import write_exports, write_pages

READERS = {"csv": ("table.csv", "ascii.csv"), "mrt": ("table.mrt", "ascii.mrt"), "votable": ("table.vot", "votable")}
HOSTILE = ("a\nb", "red\x1b[31m", r"$\frac{x", "=cmd|' /C calc'!A0", "../../up")


@pytest.fixture(scope="module")
def sample():
    flux = gaussian(AXIS, 15.0, 30.0, 50.0) + np.random.default_rng(2).normal(0, 1.5, (5, AXIS.size))
    spectra = make_spectra(flux, rms=1.5)
    return spectra, configured("gaussian")(spectra)


def renamed(sample, ids):
    spectra, fit = sample
    index = pd.Index(ids, name="id")
    spectra = replace(spectra, ids=np.array(ids), catalogue=spectra.catalogue.set_axis(index))
    return spectra, replace(fit, table=fit.table.set_axis(index))


def read(folder, form):
    name, reader = READERS[form]
    return Table.read(folder / name, format=reader)


@pytest.mark.parametrize("form", READERS)
def test_numbers_of_any_size_keep_their_digits(sample, tmp_path, form):
    """astropy's writer of machine-readable tables cuts a column to the digits of those in exponents."""
    spectra, fit = sample
    sizes = [1.2345e-5, 123.46, -0.0123, 4567.0, 1e-20]
    fit = replace(fit, table=fit.table.assign(sigma=sizes, sigma_err=np.nan))
    write_exports(spectra, fit, [form], tmp_path)
    table = read(tmp_path, form)
    np.testing.assert_allclose(table["sigma"], sizes, rtol=1e-3)
    np.testing.assert_allclose(table["w50"], fit.table["w50"], atol=fit.table["w50_err"].max() / 10)
    assert len(table.colnames) == len(fit.table.dropna(axis="columns", how="all").columns)


@pytest.mark.parametrize("form", READERS)
def test_any_name_leaves_a_table_that_can_be_read(sample, tmp_path, form):
    write_exports(*renamed(sample, HOSTILE), [form], tmp_path)
    table = read(tmp_path, form)
    np.testing.assert_allclose(table["position"], sample[1].table["position"], atol=0.1)
    if form != "csv":
        assert [str(name) for name in table["id"]] == ["a b", "red", *HOSTILE[2:]]


def test_nothing_in_a_name_means_anything_to_latex(sample, tmp_path):
    write_exports(*renamed(sample, ["a<b", "a>b", "a|b", "a_b", "a&b"]), ["latex"], tmp_path)
    names = [line.partition(" & ")[0] for line in (tmp_path / "table.tex").read_text().splitlines()[4:9]]
    assert names == [r"a\textless{}b", r"a\textgreater{}b", r"a\textbar{}b", r"a\_b", r"a\&b"]


def test_every_object_has_a_page_of_its_own(sample, tmp_path):
    write_pages(*renamed(sample, ["a_b", "a/b", "a_b_2", "A_b", "../.."]), tmp_path)
    pages = [page.name for page in (tmp_path / "plots" / "objects").iterdir()]
    assert sorted(pages) == ["A_b_3.pdf", "a_b.pdf", "a_b_2.pdf", "a_b_2_2.pdf", "object.pdf"]
    assert len(list(tmp_path.rglob("*.pdf"))) == 5
