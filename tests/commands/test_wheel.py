"""The built wheel, away from the checkout."""

import ast
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from helpers.commands import command, only_run, train
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory):
    """A new environment that has hiexp from its wheel alone; what hiexp depends on it borrows from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    # A path in a .pth file is searched after the environment's own; an editable hiexp beyond it is not followed.
    (Path(packages.strip()) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python)


def test_the_wheel_runs_in_an_empty_folder(clean_python, tmp_path):
    where = subprocess.check_output(
        [clean_python, "-c", "import hiexp; print(hiexp.__file__)"], text=True, cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(Path(clean_python).parents[2])
    words = ["-m", "dataset.n_galaxies=60", "epochs=1", "feature.size=16", "model=simple,medium"]
    result = train(*words, cwd=tmp_path, python=clean_python)
    assert result.returncode == 0, result.stderr
    assert "2 of 2 jobs done" in result.stdout
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "mlruns", "runs"]


def test_a_single_run_of_the_wheel_names_its_version(clean_python, tmp_path):
    result = train("dataset.n_galaxies=60", "feature=raw", "classifier=knn", cwd=tmp_path, python=clean_python)
    assert result.returncode == 0, result.stderr
    assert (only_run(tmp_path) / "plots" / "confusion.png").exists()


def test_the_wheel_fits(clean_python, tmp_path):
    result = command("hiexp.fit", "dataset.n_galaxies=5", "tracking=none", cwd=tmp_path, python=clean_python)
    assert result.returncode == 0, result.stderr
    assert (only_run(tmp_path) / "fits.parquet").exists()


def test_the_wheel_has_the_archives(clean_python, tmp_path):
    words = [clean_python, "-m", "hiexp.download", "dataset=cig", "--cfg", "job"]
    assert "J/A+A/532/A117" in subprocess.check_output(words, text=True, cwd=tmp_path)


def test_every_import_is_declared():
    declared = {
        canonicalize_name(Requirement(line).name) for line in requires("hiexp") if 'extra == "test"' not in line
    }
    provided = packages_distributions()
    for file in (ROOT / "hiexp").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"hiexp"}:
                assert declared & set(map(canonicalize_name, provided[name])), (
                    f"{file.name} imports {name}, which pyproject.toml does not name"
                )
