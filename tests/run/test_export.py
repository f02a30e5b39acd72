"""Tables and pages for a paper."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table
from helpers.commands import command, only_run
from helpers.lines import AXIS, busy, configured, make_spectra

from hiexp.datasets.by_name import choose
from hiexp.errors import InputError
from hiexp.fitting import measure_data
from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS
from hiexp.run.export import FILES, ucd, write_exports, write_pages

VELOCITY = AXIS + 6000
NAMES = ["NGC 1_a", "50% & #2", "=cmd()"]


@pytest.fixture(scope="module")
def sample():
    line = busy(VELOCITY, 20, 0.06, 0.06, 2e-4, 6000, 6010, 130, 2)
    flux = np.stack([line, 0.5 * line, 0 * line]) + np.random.default_rng(0).normal(0, 1, (3, AXIS.size))
    known = pd.DataFrame({"RAJ2000": [10.123456789, 350.5, 1.0], "DEJ2000": [-5.5, 89.1234567, 0.0], "Dist": 80.0})
    spectra = replace(make_spectra(flux, velocity=VELOCITY), ids=np.array(NAMES), catalogue=known.set_axis(NAMES))
    return spectra, measure_data(spectra, configured("busy")(spectra), realisations=4)


@pytest.fixture(scope="module")
def folder(sample, tmp_path_factory):
    place = tmp_path_factory.mktemp("export")
    write_exports(*sample, [*FILES, "pdf"], place)
    return place


def test_every_form_is_read_again_with_units_and_descriptions(sample, folder):
    _, fit = sample
    vo, mrt = Table.read(folder / FILES["votable"]), Table.read(folder / FILES["mrt"], format="ascii.mrt")
    csv = pd.read_csv(folder / FILES["csv"], index_col="id")
    for table in (vo, mrt):
        assert len(table) == 2  # the third has no line
        assert table["w50"].unit == "km / s"
        assert table["RAJ2000"].unit == "deg"
        assert all(table[name].description for name in table.colnames)
    np.testing.assert_array_equal(vo["w50"], fit.table["w50"][:2])
    np.testing.assert_allclose(mrt["w50"], csv["w50"])
    assert csv.columns[:4].tolist() == ["RAJ2000", "DEJ2000", "v_horns", "v_horns_err"]
    assert csv.columns.get_loc("flags") < csv.columns.get_loc("chi2") < csv.columns.get_loc("a")
    assert csv["RAJ2000"].tolist() == [10.12346, 350.5]


def test_numbers_are_rounded_to_two_digits_of_their_errors(sample, folder):
    _, fit = sample
    csv = pd.read_csv(folder / FILES["csv"], index_col="id")
    for name in ("w50", "flux_int", "cog_v85", "logMHI", "xe"):
        for row in range(2):
            value, error = (fit.table[f"{name}{kind}"].iloc[row] for kind in ("", "_err"))
            assert abs(csv[name].iloc[row] - value) <= 0.05 * error
            assert float(f"{error:.1e}") == pytest.approx(csv[f"{name}_err"].iloc[row], rel=1e-9)


def test_every_column_has_a_valid_ucd(sample, folder):
    _, fit = sample
    rows = MEASUREMENTS | DATA_MEASUREMENTS
    names = [*rows, *fit.parameters, *(f"{name}_err" for name, row in rows.items() if row.of_line), "a_err"]
    for name in names:
        word = ucd(name, fit.parameters)
        assert word == "" or check_ucd(word, check_controlled_vocabulary=True, has_colon=True), name
    fields = re.findall(r'<FIELD.*?name="(\w+)".*?/?>', (folder / FILES["votable"]).read_text())
    assert {"id", "RAJ2000", "w50", "w50_err"} <= set(fields)
    assert 'ucd="stat.error;spect.line.width"' in (folder / FILES["votable"]).read_text()


def test_names_mean_nothing_to_tex_nor_to_a_spreadsheet(folder):
    tex = (folder / FILES["latex"]).read_text()
    assert r"NGC 1\_a & $10.12346$" in tex
    assert r"50\% \& \#2" in tex
    assert r" \pm " in tex


def test_posteriors_are_columns_with_a_meaning_and_four_digits(sample, tmp_path):
    spectra, fit = sample
    said = {"A_flux_p50": "median of A_flux without noise", "A_flux_above_1_26": "probability of more than 1.26"}
    table = fit.table.assign(A_flux_p50=[1.234567, 1.1, np.nan], A_flux_above_1_26=[0.987654, np.nan, np.nan])
    write_exports(spectra, replace(fit, table=table, meanings=said), [*FILES], tmp_path)
    vo, csv = Table.read(tmp_path / FILES["votable"]), pd.read_csv(tmp_path / FILES["csv"], index_col="id")
    mrt = Table.read(tmp_path / FILES["mrt"], format="ascii.mrt")
    assert vo["A_flux_p50"].tolist() == [1.234567, 1.1]
    for name, meaning in said.items():
        assert vo[name].description == mrt[name].description == meaning
    assert csv["A_flux_p50"].tolist() == mrt["A_flux_p50"].tolist() == [1.235, 1.1]
    assert csv["A_flux_above_1_26"].tolist()[0] == 0.9877
    assert csv.columns.get_loc("flags") < csv.columns.get_loc("A_flux_p50") < csv.columns.get_loc("a")
    words = {name: ucd(name, fit.parameters) for name in said}
    assert words == {"A_flux_p50": "spect.line.asymmetry", "A_flux_above_1_26": "stat.probability"}
    assert all(check_ucd(word, check_controlled_vocabulary=True, has_colon=True) for word in words.values())
    assert "1.235" not in (tmp_path / FILES["latex"]).read_text()  # which has the columns of a printed page


def test_pictures_are_pdf_too(folder):
    for name in ("fits.pdf", "parameters.pdf"):
        assert (folder / "plots" / name).read_bytes().startswith(b"%PDF")


def test_pages_have_names_that_any_file_system_takes(sample, tmp_path):
    spectra, fit = sample
    write_pages(spectra, fit, tmp_path)
    pages = sorted(page.name for page in (tmp_path / "plots" / "objects").iterdir())
    assert pages == ["50_2.pdf", "NGC_1_a.pdf", "cmd.pdf"]
    twice = replace(spectra, ids=np.array(["a/b", "a b", "a"]))
    write_pages(twice, fit, tmp_path / "again")
    assert {"a_b.pdf", "a_b_2.pdf"} < {page.name for page in (tmp_path / "again" / "plots" / "objects").iterdir()}


def test_a_page_says_what_is_measured_and_flagged(sample, written, tmp_path):
    spectra, fit = sample
    table = fit.table.copy()
    table["flags"] = ["edge", "", ""]
    write_pages(spectra, replace(fit, table=table), tmp_path)
    words = ["\n".join(text for text, _ in page) for page, _ in written]
    assert "NGC 1_a" in words[0]
    assert "edge: on a side of the line" in words[0]
    assert re.search(r"\$W_\{50\}\$\n\d+\.\d+ ± \d\.\d+ km/s", words[0])
    assert "no flags" in words[1]
    assert "not fitted: no line found" in words[2]
    for page, bounds in written:
        for text, place in page:
            assert place.x0 >= 0, text
            assert place.x1 <= bounds.width + 1, text
            assert place.y0 >= 0, text


@pytest.mark.slow
def test_the_command_for_chosen_objects(appss, tmp_path):
    words = ["dataset=alfalfa", f"dataset.path={appss}"]
    result = command("hiexp.fit", *words, "ids=[105258,113910]", "export=latex,mrt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = only_run(tmp_path)
    assert [page.name for page in sorted((run / "plots" / "objects").iterdir())] == ["105258.pdf", "113910.pdf"]
    assert len(Table.read(run / "table.mrt", format="ascii.mrt")) == 2
    assert "for a paper" in result.stdout + result.stderr


def test_a_name_that_is_not_there_is_told_with_one_like_it(sample):
    spectra, _ = sample
    with pytest.raises(InputError, match="ids=ngc 1a: none of the 3 objects; do you mean NGC 1_a"):
        choose(spectra, ["ngc 1a"])
    lost = replace(spectra, skipped=pd.DataFrame({"name": ["7"], "reason": ["is empty"]}))
    with pytest.raises(InputError, match="ids=007: could not be read: is empty"):
        choose(lost, ["007"])
    assert choose(spectra, ["ngc 1_A"]).ids.tolist() == ["NGC 1_a"]


def test_what_the_catalogue_does_not_know_of_those_chosen_is_told(sample):
    spectra, _ = sample
    unmatched = pd.DataFrame(
        {"name": ["NGC 1_a", "NGC 9"], "reason": ["an object without a row in the catalogue"] * 2}
    )
    chosen = choose(replace(spectra, unmatched=unmatched), ["NGC 1_a"])
    assert chosen.unmatched["name"].tolist() == ["NGC 1_a"]
