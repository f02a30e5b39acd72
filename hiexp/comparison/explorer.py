"""What a page takes along of one run, so that its objects can be looked at: columns, classes, lines, neighbours.

Arrays are deflated and written as base64; what a browser makes of them is in ``templates/explorer.js``.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hiexp.comparison.explorer_plots import LINE, MARKS, NO_CLASS_MARK, SCATTER, library, plot_items
from hiexp.comparison.runs import Comparison, Run
from hiexp.errors import InputError
from hiexp.printable import printable
from hiexp.run.compact import PLACES_FILE, PROFILES_FILE, SAMPLES, STEPS, CompactLines, FeaturePlaces
from hiexp.run.files import FITS_FILE, PREDICTIONS_FILE
from hiexp.run.reading import read_fits, read_prediction_table, read_table
from hiexp.run.sample import CATALOGUE_FILE

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

NEIGHBOURS = 6
PANELS = 12  # lines side by side
COLUMNS, SHARE = 60, 0.3  # columns at most, and of the bytes that there are
KEPT_BITS = 12  # of a mantissa: four digits
NO_CLASS = 255
REST = 40_000  # bytes of the explorer's HTML and script
CLASSES = {"reference": "reference class", "label": "training label", "predicted": "predicted class"}
FIRST = ("w50", "A_flux")  # on the axes, where a fit has them
MISSING = "profiles.parquet or another table of its lines is not in its folder (an earlier version, or removed)"


@dataclass(frozen=True)
class Column:
    """A quantity of N objects.

    Attributes
    ----------
    group : str
        Where it comes from: "fit", "catalogue" or "prediction".
    name : str
        As the table has it.
    unit : str
        Empty where there is none, or nobody says which.
    values : ndarray of float32, shape (N,)
        NaN where unknown.
    """

    group: str
    name: str
    unit: str
    values: np.ndarray


@dataclass(frozen=True)
class Objects:
    """The objects of a run, those held out first.

    Attributes
    ----------
    run : str
        Its name.
    ids : list of str
        Names of N objects.
    classes : mapping of str to ndarray of float, shape (N,)
        Classes by who says so; NaN where there is none.
    columns : list of Column
        What is known of them, first what one looks at first.
    lines : CompactLines
        A row an object.
    nearest : ndarray of int, shape (N, k), or None
        The objects that are most alike in feature space, nearest first.
    alike_in : str
        What that space is, in words.
    images : ndarray of uint8, shape (N, size, size, 1 or 3), or None
        Images that the feature makes.
    limits : tuple of float
        Values of the darkest and the brightest pixel of images of one channel.
    notes : list of str
        What is missing, and why.
    """

    run: str
    ids: list[str]
    classes: Mapping[str, np.ndarray]
    columns: list[Column]
    lines: CompactLines
    nearest: np.ndarray | None = None
    alike_in: str = ""
    images: np.ndarray | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    notes: list[str] = field(default_factory=list)


def explorer(comparison: Comparison, templates: Environment, budget: int) -> str:
    """Return the part of a page that shows the objects of the best run; where it cannot, a line that says why.

    Parameters
    ----------
    comparison : Comparison
        Ranked.
    templates : Environment
        Has ``explorer.html`` and ``no_explorer.html``.
    budget : int
        Bytes that it may have.
    """
    best = comparison.done[0] if comparison.done else None
    if best is None or "n_test" not in best.metrics:  # fits alone have no classes
        return ""
    try:
        objects = read_objects(best)
        script = packed(library())
        plots = plot_items(PANELS)
        around = {"plots": plots, "library": script, "scatter": SCATTER, "samples": SAMPLES, "steps": STEPS + 1}
        around |= {"places": [LINE.format(number) for number in range(PANELS)], "alike_in": objects.alike_in}
        data, notes = packed_objects(objects, budget - len(script) - len(json.dumps(plots)) - REST)
    except InputError as error:
        return templates.get_template("no_explorer.html").render(reason=printable(str(error)))
    data |= {"marks": MARKS, "no_class": NO_CLASS_MARK}
    return templates.get_template("explorer.html").render(data=data, notes=notes, **around)


def read_objects(run: Run) -> Objects:
    """Return the objects of a run whose folder is on this machine.

    Raises
    ------
    InputError
        If one of the tables is missing or damaged.
    """
    if not Path(run.folder).is_dir():
        raise InputError(f"the folder of run {run.name} is not on this machine")
    files = [run.file(name) for name in (PREDICTIONS_FILE, FITS_FILE, CATALOGUE_FILE, PROFILES_FILE)]
    if None in files:
        raise InputError(f"run {run.name}: {MISSING}")
    predictions, fits, catalogue, profiles = (file for file in files if file is not None)
    table, notes = read_prediction_table(predictions, run.metrics.get("n_test")), []
    if "repeat" in table:
        if (n_repeats := table["repeat"].max()) > 1:
            notes.append(f"Predictions are those of the first of {n_repeats} repeats.")
        table = table[table["repeat"] == 1]
    table = table.iloc[np.argsort(table["split"] != "test", kind="stable")].set_index("id")
    if table.index.has_duplicates:
        raise InputError(f"{predictions}: an object has several rows")
    lines = CompactLines.read(profiles)
    rows = np.searchsorted(lines.ids, table.index.to_numpy(str), sorter=(order := np.argsort(lines.ids)))
    rows = order[np.minimum(rows, len(order) - 1)]
    if (lines.ids[rows] != table.index.to_numpy(str)).any():
        raise InputError(f"{profiles} is not about the objects of {predictions}")
    known = {name: table[name].to_numpy(float, na_value=np.nan) for name in CLASSES if name in table}
    classes = {name: values for name, values in known.items() if np.isfinite(values).any()}
    if "reference" in classes:
        classes.pop("label", None)
    columns = _columns(table, fits, catalogue)
    objects = Objects(run.name, table.index.tolist(), classes, columns, lines.take(rows), notes=notes)
    return _with_places(objects, run.file(PLACES_FILE))


def _with_places(objects: Objects, file: Path | None) -> Objects:
    """Return the objects with what is most alike and their images, as far as both are known."""
    places = FeaturePlaces.read(file) if file else None
    if places is None:
        missing = f"Similar lines are not shown: the run has no {PLACES_FILE}."
        return replace(objects, notes=[*objects.notes, missing])
    row_of = {name: row for row, name in enumerate(places.ids.tolist())}
    rows = np.array([row_of.get(name, -1) for name in objects.ids])
    if (rows < 0).any():
        raise InputError(f"{file} is not about the objects of the run's predictions")
    n_coordinates, n_features = places.coordinates.shape[1], places.n_features
    alike_in = f"the {n_features} numbers of the run's feature"
    if n_coordinates < n_features:
        alike_in = (
            f"{n_coordinates - 1} principal components of the {n_features} numbers of the run's feature, found from "
            "training objects, and what these leave"
        )
    notes = [*objects.notes]
    if places.left_out:
        notes.append(f"Images are not shown: those of all {len(rows)} objects would make the page too large.")
    images = None if places.images is None else places.images[rows]
    nearest = nearest_rows(places.coordinates[rows])
    return replace(objects, nearest=nearest, alike_in=alike_in, images=images, limits=places.limits, notes=notes)


def nearest_rows(coordinates: np.ndarray) -> np.ndarray:
    """Return the rows that are nearest to each row, itself not counted, nearest first, shape (N, at most 6).

    Parameters
    ----------
    coordinates : ndarray, shape (N, C)
        Places between which Euclidean distances are taken.
    """
    from sklearn.neighbors import NearestNeighbors

    number = min(NEIGHBOURS, len(coordinates) - 1)
    return NearestNeighbors(n_neighbors=number).fit(coordinates).kneighbors(return_distance=False)


def _columns(predictions: pd.DataFrame, fits: Path, catalogue: Path) -> list[Column]:
    """Return the numbers that are known of the objects, those that one looks at first in front."""
    from hiexp.datasets.survey_catalogue import UNITS
    from hiexp.plots.objects import NUMBERS

    fitted = read_fits(fits)
    frame = fitted.to_pandas(index="id")
    units = {name: str(fitted[name].unit or "").replace(" / ", "/") for name in fitted.colnames}
    measured = [name for name in frame if not name.endswith(("_err", "_err_mc"))]
    looked_at = [name for name in (*FIRST, *NUMBERS) if name in measured]
    listed = read_table(catalogue)
    if "id" not in listed:
        raise InputError(f"{catalogue} has no column id")
    listed = listed.set_index("id")
    classes = [name for name in (*CLASSES, "yardstick") if name in predictions]
    told = [*(name for name in predictions if name.startswith("probability_")), *classes]
    columns = []
    for group, table, names, known in (
        ("fit", frame, list(dict.fromkeys(looked_at)), units),
        ("prediction", predictions, told, {}),
        ("catalogue", listed, list(listed), UNITS),
        ("fit", frame, [name for name in measured if name not in looked_at], units),
    ):
        rows = table[~table.index.duplicated()].reindex(predictions.index)
        for name in names:
            values = _numbers(rows[name])
            if values is not None:
                columns.append(Column(group, printable(str(name), 40), known.get(name, ""), values))
    return columns


def _numbers(column: pd.Series) -> np.ndarray | None:
    """Return a column as float32; None where it is no numbers, or nothing is known."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not is_numeric_dtype(column) or is_bool_dtype(column):
        return None
    values = column.to_numpy(float, na_value=np.nan)
    limit = np.finfo(np.float32).max / 2
    values = np.where(np.abs(values) < limit, values, np.nan).astype(np.float32)
    return values if np.isfinite(values).any() else None


def packed_objects(objects: Objects, budget: int) -> tuple[dict, list[str]]:
    """Return what the script of the page reads, as JSON takes it, and what is missing in it, in sentences.

    Columns come first, then who is most alike, then lines of as many objects as there is room for, those held out
    first, then images.

    Parameters
    ----------
    objects : Objects
        N objects.
    budget : int
        Bytes.

    Raises
    ------
    InputError
        If not even the columns of two axes fit.
    """
    n, notes = len(objects.ids), list(objects.notes)
    columns: list[dict[str, str]] = []
    left = budget
    for column in objects.columns[:COLUMNS]:
        values = packed_numbers(column.values)
        if len(columns) >= 2 and left - len(values) < (1 - SHARE) * budget:
            break
        columns.append({"group": column.group, "name": column.name, "unit": column.unit, "values": values})
        left -= len(values)
    if len(columns) < len(objects.columns):
        notes.append(f"Of {len(objects.columns)} columns the page has {len(columns)}.")
    data: dict = {"run": objects.run, "n": n, "columns": columns, "ids": packed(json.dumps(objects.ids).encode())}
    data["classes"] = [_classes(name, values) for name, values in objects.classes.items()]
    if objects.nearest is not None:
        data["nearest"] = {"width": objects.nearest.shape[1], "rows": packed(objects.nearest.astype("<u2").tobytes())}
    left = budget - len(json.dumps(data))
    if left < 0 or not columns:
        raise InputError("there is no room for its objects in the page, or nothing is known of them")
    lines, n_lines = _packed_lines(objects.lines, left)
    if n_lines < n:
        notes.append(f"The page has room for the lines of {n_lines} of {n} objects, those held out first.")
    data |= {"lines": lines, "model": objects.lines.model}
    left -= len(json.dumps(lines))
    if objects.images is not None:
        images = _packed_images(objects.images, objects.limits)
        if len(images["pixels"]) <= left:
            data["images"] = images
        else:
            notes.append("The page has no room for the images that the feature makes of the lines.")
    return data, notes


def _classes(name: str, values: np.ndarray) -> dict:
    known = np.isfinite(values)
    names, codes = np.unique(values[known], return_inverse=True)
    places = np.full(len(values), NO_CLASS, np.uint8)
    places[known] = np.minimum(codes, NO_CLASS - 1)
    return {"title": CLASSES[name], "names": [f"{value:.0f}" for value in names], "codes": packed(places.tobytes())}


def _packed_lines(lines: CompactLines, budget: int) -> tuple[dict, int]:
    """Return lines of the first so many objects that they fit, and how many these are."""
    n_lines = len(lines.ids)
    while True:
        some = lines.take(np.arange(n_lines))
        steps = np.diff(some.curves, axis=1, prepend=np.uint8(0))  # of a smooth curve these are small
        found = {
            "n": n_lines,
            "ends": packed_numbers(some.ends.ravel(), 23),
            "limits": packed_numbers(some.limits.ravel()),
            "data": packed(some.data.tobytes()),
            "curves": packed(steps.tobytes()),
        }
        size = len(json.dumps(found))
        if size <= budget or not n_lines:
            return found, n_lines
        n_lines = int(0.98 * n_lines * max(budget, 0) / size)


def _packed_images(images: np.ndarray, limits: tuple[float, float]) -> dict:
    from matplotlib import colormaps

    colours = colormaps["RdBu" if limits[0] < 0 else "magma_r"](np.arange(256), bytes=True)[:, :3]
    return {
        "size": images.shape[1],
        "channels": images.shape[3],
        "limits": list(limits),
        "colours": base64.b64encode(colours.tobytes()).decode(),
        "pixels": packed(images.tobytes()),
    }


def packed_numbers(values: np.ndarray, bits: int = KEPT_BITS) -> str:
    """Return numbers in single precision with so many bits of mantissa, byte by byte, deflated, as base64.

    Parameters
    ----------
    values : ndarray of float32, shape (N,)
        The first bytes of all come first, then the second, and so on, which deflates better.
    bits : int
        Bits of 23 that are kept, rounded to nearest.
    """
    words: np.ndarray = np.ascontiguousarray(values, "<f4").view("<u4").astype(np.uint64)
    cut = 23 - bits
    if cut:
        words = (words + (1 << (cut - 1))) >> cut << cut
    words = np.where(np.isnan(values), 0x7FC00000, words).astype("<u4")
    return packed(np.ascontiguousarray(words.view(np.uint8).reshape(-1, 4).T).tobytes())


def packed(content: bytes) -> str:
    """Return bytes deflated, as base64."""
    return base64.b64encode(zlib.compress(content, 6)).decode()
