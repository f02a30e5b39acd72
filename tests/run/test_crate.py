"""A run as one file to cite: what it says, that it is an RO-Crate, and what is refused."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from helpers.commands import command, only_run, train
from rocrate.rocrate import ROCrate

from hiexp import load_run
from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.run.citable import own_provenance, work_in
from hiexp.run.crate import write_crate
from hiexp.run.crate_pages import Author, citation

QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "evaluation.permutations=20", "tracking=none"]
OWN = ["metrics=kappa"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert train(*QUICK, *OWN, "classifier=knn", cwd=folder).returncode == 0
    return only_run(folder)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    assert train("-m", *QUICK, "classifier=knn,logistic_regression", cwd=folder).returncode == 0
    (file,) = folder.glob("runs/*/*/sweep.html")
    return file.parent


def exported(folder, tmp_path, *words):
    result = command("hiexp.export", str(folder), "--to", "it.zip", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(tmp_path / "it.zip") as content:
        content.extractall(tmp_path / "it")
    return result.stdout, tmp_path / "it"


@pytest.mark.slow
def test_a_run_says_how_it_is_cited_repeated_and_read(run, tmp_path):
    said, folder = exported(run, tmp_path, "--author", "Leavitt, Henrietta", "--author", "AMIGA team")
    assert said.startswith("it.zip  ")
    citation = yaml.safe_load((folder / "CITATION.cff").read_text())
    assert citation["authors"] == [
        {"family-names": "Leavitt", "given-names": "Henrietta"},
        {"name": "AMIGA team"},
    ]
    assert citation["cff-version"] == "1.2.0"
    assert [work["title"].split()[0] for work in citation["references"]] == ["hiexp", "Classification"]
    readme = (folder / "README.md").read_text()
    assert "python -m hiexp.train dataset.n_galaxies=60 fit=none" in readme
    assert "| balanced accuracy | " in readme
    assert "| kappa | " in readme
    assert "| `plots/` | Pictures |" in readme
    assert "| mock_cig | train | " in readme
    own = json.loads((run / "run.json").read_text())["files"]
    for name in own:
        assert (folder / name).read_bytes() == (run / name).read_bytes()
    # Nothing tells whose machine it was.
    for file in (path for path in folder.rglob("*") if path.is_file()):
        for place in (run.parents[2], CONFIGS.parent):
            assert str(place).encode() not in file.read_bytes(), file
    assert load_run(folder).fit is not None


@pytest.mark.slow
def test_it_is_an_ro_crate_that_says_what_made_which_files_of_which_samples(run, tmp_path):
    _, folder = exported(run, tmp_path)
    crate = ROCrate(str(folder))
    (action,) = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert action["instrument"]["name"] == "hiexp"
    assert {one["name"] for one in action["object"]} == {"mock_cig (train)", "mock_cig (test)"}
    made = {entity.id for entity in action["result"]}
    assert {"config.yaml", "metrics.json", "predictions.csv"} <= made
    listed = {entity.id for entity in crate.data_entities}
    packed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert packed - {"ro-crate-metadata.json"} == listed


@pytest.mark.slow
def test_of_a_sweep_the_page_and_the_numbers_of_its_jobs_are_exported(sweep, tmp_path):
    said, folder = exported(sweep, tmp_path)
    assert "Name the authors in its CITATION.cff" in said
    assert {"sweep.html", "ranking.csv", "sweep.json"} <= {path.name for path in folder.iterdir()}
    assert {path.name for path in (folder / "0").iterdir()} >= {"config.yaml", "metrics.json", "predictions.csv"}
    assert not (folder / "0" / "model").exists()
    assert str(sweep.parents[2]) not in (folder / "multirun.yaml").read_text()
    readme = (folder / "README.md").read_text()
    assert "-m hiexp.train -m dataset.n_galaxies=60" in readme
    assert "2 of 2 jobs ended well." in readme
    assert "| `0/` to `1/` | Settings, scores and predictions of each job |" in readme
    assert "The best of 2 configurations is job " in readme
    assert "| run | success rate | balanced accuracy |" in readme


def test_of_a_sweep_what_hiexp_has_not_made_stays(sweep, tmp_path):
    folder = copied(sweep, tmp_path)
    (folder / "my_notes.txt").write_text("of nobody else")
    assert Path("my_notes.txt") not in work_in(folder).files


def test_a_sweep_without_one_of_its_jobs_is_refused(sweep, tmp_path):
    folder = copied(sweep, tmp_path)
    shutil.rmtree(folder / "1")
    with pytest.raises(InputError, match=r"ranking\.csv does not have the jobs of this folder"):
        work_in(folder)


@pytest.mark.parametrize("file", ["0/predictions.csv", "1/metrics.json"])
def test_a_sweep_whose_jobs_have_changed_since_is_refused(sweep, tmp_path, file):
    folder = copied(sweep, tmp_path)
    with (folder / file).open("a") as results:
        results.write(" ")
    with pytest.raises(InputError, match=f"{file[0]}: its results are not what they were"):
        work_in(folder)


def test_a_run_without_provenance_can_be_exported(run, tmp_path):
    folder = copied(run, tmp_path)
    own = json.loads((folder / "run.json").read_text())
    del own["files"]["provenance.json"]
    (folder / "run.json").write_text(json.dumps(own))
    (folder / "provenance.json").unlink()
    assert own_provenance(folder) is None
    write_crate(work_in(folder), [], tmp_path / "it.zip")
    with zipfile.ZipFile(tmp_path / "it.zip") as content:
        assert "made before hiexp kept them" in content.read("README.md").decode()


def test_a_curve_that_was_fitted_is_cited(run, tmp_path):
    folder = copied(run, tmp_path)
    (folder / "config.yaml").write_text("fit: {_target_: hiexp.fitting.fit_busy}")
    (reference,) = yaml.safe_load(citation(replace(work_in(run), folder=folder), []))["references"][1:]
    assert (reference["authors"], reference["year"]) == ([{"family-names": "Westmeier"}], 2014)


@pytest.mark.parametrize("text", ["", "[", "hydra: 3", "hydra: {runtime: {}}"])
def test_what_hydra_keeps_is_named_where_it_is_damaged(run, tmp_path, text):
    folder = copied(run, tmp_path)
    (folder / ".hydra" / "hydra.yaml").write_text(text)
    with pytest.raises(InputError, match=r"hydra\.yaml is damaged; restore it"):
        write_crate(work_in(folder), [], tmp_path / "it.zip")
    assert not [*tmp_path.glob("*.zip")]


def test_results_that_have_changed_since_are_refused(run, tmp_path):
    folder = copied(run, tmp_path)
    with (folder / "predictions.csv").open("a") as table:
        table.write("G,1,2\n")
    with pytest.raises(InputError, match="not what they were when the run ended"):
        work_in(folder)


def test_files_that_lie_elsewhere_are_not_taken(run, tmp_path):
    (tmp_path / "secret").write_text("of somebody else")
    folder = copied(run, tmp_path)
    (folder / "catalogue.csv").unlink()
    (folder / "catalogue.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="not what they were"):
        work_in(folder)
    own = json.loads((folder / "run.json").read_text())
    own["files"]["../secret"] = own["files"].pop("catalogue.csv")
    (folder / "run.json").write_text(json.dumps(own))
    with pytest.raises(InputError, match="not what they were"):
        work_in(folder)


def copied(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "copied"))


@pytest.mark.parametrize("text", ["", "  ", ", Edwin"])
def test_authors_have_names(text):
    with pytest.raises(InputError, match="FAMILY, GIVEN"):
        Author.of(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "words", "said"),
    [
        (lambda folder: folder.joinpath("empty").mkdir(), ["empty"], "empty: no run is in this folder"),
        (lambda folder: None, ["nowhere"], "nowhere: no run is in this folder"),
        (lambda folder: folder.joinpath("it.zip").write_text(""), ["RUN", "--to", "it.zip"], "there already"),
        (lambda folder: None, ["RUN", "--to", "no/it.zip"], "there is no folder no"),
        (lambda folder: None, ["RUN", "--author", ","], "FAMILY, GIVEN"),
        (lambda folder: None, ["RUN", "--license", "my own"], "give its SPDX identifier"),
        (lambda folder: None, ["RUN", "--to", "/proc/it.zip"], "/proc/it.zip: cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line(run, tmp_path, prepare, words, said):
    prepare(tmp_path)
    result = command("hiexp.export", *(str(run) if word == "RUN" else word for word in words), cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
