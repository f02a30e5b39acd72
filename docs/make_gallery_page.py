"""Make docs/gallery.md: ``python docs/make_gallery_page.py``, from the repository's root; a few minutes.

Small runs, in a folder that is removed again, draw every picture that hiexp draws. What they have drawn goes to
``docs/gallery``, in few colours; the page has each with its words and its command.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import fill

from PIL import Image

from hiexp.datasets import mock_cig
from hiexp.fitting import fit_busy
from hiexp.fitting.data_measurements import measure_data
from hiexp.plots import plot_object

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "gallery"
WIDTH, COLOURS = 1100, 224  # pixels, at most
HEAD = """# Gallery

Every picture that hiexp draws, from small runs on model galaxies. A command below leaves the pictures that follow it:
those of a run in `runs/<date>/<time>/plots/`, those of a sweep in the sweep's folder.

All are drawn for a page of two columns (180 mm), those with one panel for a column (88 mm), in letters of at least 6
points, and say units on their axes, where they have any. Classes, settings and parts of a sample differ by marks,
dashes or hatches as well as by colour. Beside each `.png` stands the same as `.pdf`, with fonts embedded as
TrueType; of the jobs of a sweep with `pdf=true` alone ([why](decisions/paper-pictures.md)).

This page is made by `docs/make_gallery_page.py`.
"""
FOOT = """## The page of a sweep

`sweep.html` has pictures of its own, drawn as SVG: scores from best to worst over the settings of each run with
intervals, chance and the yardstick; parallel coordinates of the settings; in a search, the best score so far over
that of chance, and the importance of each key.

![The page of a sweep](report.png)
"""


@dataclass(frozen=True)
class Run:
    """A command and what it leaves.

    Attributes
    ----------
    name : str
        Of its folder.
    title : str
        Of its section.
    words : str
        Of the command, after ``python -m``.
    shown : dict of str to str
        What each picture shows, by the path in the run's folder.
    also : str
        What else there is to say.
    """

    name: str
    title: str
    words: str
    shown: dict[str, str] = field(default_factory=dict)
    also: str = ""


RUNS = (
    Run(
        "fit",
        "A sample fitted",
        "hiexp.fit dataset.n_galaxies=60",
        {
            "plots/fits.png": "The three best, the three middle and the three worst fits, by reduced chi-squared: "
            "valid channels, the fitted curve, W50 and W20 at half and a fifth of its peak, and below what the fit "
            "leaves, in rms. What lies outside the window of the fit is shaded.",
            "plots/parameters.png": "A histogram of each measurement and, hatched, of each parameter of the model, "
            "with its median and the range of 16-84 %. An axis ends at the 0.5th and the 99.5th percentile.",
        },
        "`export=pdf` writes `plots/fits.pdf` and `plots/parameters.pdf` whatever `pdf` says.",
    ),
    Run(
        "train",
        "A network of disc images",
        "hiexp.train dataset.n_galaxies=200 epochs=15",
        {
            "plots/classes.png": "The profiles of each predicted class: at most 60 (grey), their median and the "
            "range of 16-84 %, on the window of the fit. The axis is in km/s where all windows are equally wide, "
            "else in half windows, and the median half window stands in each panel.",
            "plots/parameters_by_class.png": "A histogram of each catalogue parameter by predicted class, with the "
            "share of the ranks' variance that lies between the classes.",
            "plots/confusion.png": "Objects held out by reference and predicted class, coloured by their share of "
            "the reference class.",
            "plots/training.png": "What a network recorded in each epoch of its training, on the training part "
            "and, with `classifier.early_stopping`, dashed, on the validation part.",
            "plots/saliency.png": "For up to three objects held out of each class: profile, disc image, and which "
            "part of the image speaks for the predicted class (solid outlines) and which against it (dashed).",
        },
    ),
    Run(
        "raw",
        "A network of profiles",
        "hiexp.train feature=raw dataset.n_galaxies=200 epochs=15",
        {
            "plots/saliency.png": "The same of a network that takes profiles: each is coloured by its saliency, "
            "which is drawn below it too, upwards what speaks for the predicted class.",
        },
    ),
    Run(
        "images",
        "Another classifier of disc images",
        "hiexp.train classifier=random_forest dataset.n_galaxies=200",
        {
            "plots/images.png": "Profiles and the disc images made of them, four of each class, of a classifier "
            "without saliency; below each, how far the profile's window reaches from its middle.",
        },
    ),
    Run(
        "shapelets",
        "Shapelets",
        "hiexp.train feature=shapelet classifier=random_forest dataset.n_galaxies=200",
        {
            "plots/shapelets.png": "Learned shapelets on the profiles nearest to them, those first that tell the "
            "classes apart best (F).",
        },
    ),
    Run(
        "predict",
        "A model on another survey",
        "hiexp.predict run=FOLDER dataset=mock_alfalfa dataset.n_galaxies=300",
        {
            "plots/classes.png": "The profiles of each class that a model, of the second command of this page, has "
            "found in another survey. A prediction has all other pictures of a training, too, but for those of the "
            "training itself.",
        },
    ),
    Run(
        "sweep",
        "A sweep",
        "hiexp.train -m classifier=knn,random_forest,svm feature=raw,asymmetry,line dataset.n_galaxies=200",
        {
            "sweep.png": "A bar a configuration, the best on top, with its 95 % interval and what it reaches by "
            "chance, over the range that the best of the sweep reaches by chance. Lines across are the yardstick, "
            "without learning. Colours and hatches stand for the first setting that differs.",
        },
    ),
    Run(
        "learning",
        "Learning curves",
        "hiexp.train +experiment=learning_curve classifier=knn,random_forest random_state=1,2,3 "
        "dataset.n_galaxies=300",
        {
            "learning_curve.png": "Scores over the number of training objects: the mean over the splits with the 95 "
            "% interval of a run, single runs as points, chance and its 95th percentile.",
        },
    ),
    Run(
        "own",
        "A picture that a setting asks for",
        "hiexp.train pictures=reliability classifier=random_forest feature=asymmetry",
        {
            "plots/reliability.png": "How often an object held out is of a class against how probable the "
            "classifier says that is, with 95 % intervals; on the line where its probabilities are right.",
        },
    ),
)
OBJECT = """### plots/objects/ID.pdf

One object on one page: the whole spectrum; the window with the fitted curve, the widths at 50 and 20 % of the peak,
the systemic velocity; what the fit leaves; measurements with their errors, parameters and flags. Made by

```
python -m hiexp.fit dataset.n_galaxies=3 ids=M0001
```

![plots/objects/ID.pdf](gallery/object.png)
"""


def draw(run: Run, root: Path) -> Path:
    """Run a command below `root` and return its folder."""
    folder = root / run.name
    where = "hydra.sweep.dir" if "-m" in run.words.split() or "+experiment" in run.words else "hydra.run.dir"
    words = shlex.split(run.words.replace("FOLDER", str(root / "train")))
    command = [sys.executable, "-m", *words, f"root={root}", "tracking=none", f"{where}={folder}"]
    subprocess.run(command, cwd=root, check=True)
    return folder


def draw_object(file: Path) -> None:
    """Draw the page of an object as PNG."""
    spectra = mock_cig(3)
    fit = partial(fit_busy, margins=[10.6, 26.5])(spectra)  # of conf/fit/busy.yaml
    plot_object(spectra, measure_data(spectra, fit), 0, file)


def keep(picture: Path, name: str) -> None:
    """Keep a picture for the page, in few colours."""
    with Image.open(picture) as original:
        image = original.convert("RGB")
    image.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)


def name_of(run: Run, path: str) -> str:
    """Return the name that a picture has on the page, since several runs draw some of them."""
    return f"{run.name}_{Path(path).name}"


def parts() -> Iterator[str]:
    """Yield the sections of the page."""
    yield HEAD
    for run in RUNS:
        yield f"## {run.title}\n\n```\npython -m {run.words}\n```\n"
        if run.also:
            yield f"{run.also}\n"
        for path, words in run.shown.items():
            yield f"### {path}\n\n{fill(words, 118)}\n\n![{path}](gallery/{name_of(run, path)})\n"
        if run.name == "fit":
            yield OBJECT
    yield FOOT


def main() -> None:
    """Run everything and write the page."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        for run in RUNS:
            folder = draw(run, Path(root))
            for path in run.shown:
                keep(folder / path, name_of(run, path))
        draw_object(Path(root) / "object.png")
        keep(Path(root) / "object.png", "object.png")
    (DOCS / "gallery.md").write_text("\n".join(parts()))


if __name__ == "__main__":
    main()
