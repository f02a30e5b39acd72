"""Runs that any code has recorded: scored and judged from the table of predictions that each has left."""

from __future__ import annotations

import io
import json
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.verdict import judged_by
from hiexp.errors import InputError
from hiexp.evaluation.metrics import table_scores
from hiexp.evaluation.scores import score
from hiexp.long_tables import PARQUET
from hiexp.printable import counted, printable
from hiexp.run.reading import MOST_BYTES_OF_A_TABLE, read_content
from hiexp.spectra import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

NOTHING = ("", "nan", "None", "NaN", "<NA>")
MOST_CLASSES = 1000
MOST_FOREIGN = 20  # predicted classes that no object has
N_DRAWS = 1000  # of each distribution


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of predictions are called.

    Attributes
    ----------
    id : str
        Names of the objects.
    reference : str
        True classes: numbers or text.
    predicted : str
        Predicted classes.
    split : str
        "test" for objects held out; where there is no such column, all of them are.
    repeat : str
        Number of the repeat; there need be none.
    """

    id: str = "id"
    reference: str = "reference"
    predicted: str = "predicted"
    split: str = "split"
    repeat: str = "repeat"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the names in ``id=NAME,reference=NAME``.

        Raises
        ------
        InputError
            If it names no such column.
        """
        known = [one.name for one in fields(cls)]
        given = dict(part.partition("=")[::2] for part in text.split(",") if part)
        for name, column in given.items():
            if name not in known or not column:
                raise InputError(f"--columns {name}={column}: give {', '.join(f'{one}=NAME' for one in known[:4])}")
        return cls(**given)


def scored_by_tables(
    comparison: Comparison, file: str, columns: Columns
) -> tuple[Comparison, dict[str, dict[str, np.ndarray]]]:
    """Return runs with scores, where they had none, and their tables, as `judge_sweep` takes them.

    Parameters
    ----------
    comparison : Comparison
        Not ranked.
    file : str
        The table in the run's artefacts: ``.csv``, ``.parquet``, or ``.json`` as ``mlflow.log_table`` writes it.
    columns : Columns
        Its columns.
    """
    found, reasons = {}, Counter[str]()
    for run in comparison.done:
        place = run.file(file)
        try:
            if place is None:
                raise InputError(f"there is no {printable(file)} among the artefacts (--predictions FILE)")
            found[run.name] = read_table(place, columns)
        except InputError as error:
            reasons[str(error)] += 1
    for reason, number in reasons.items():
        log.warning("%s without a part in the verdict: %s", counted(number, "run"), reason)
    tables = _in_numbers(found)
    runs = tuple(_scored(run, tables.get(run.name)) for run in comparison.runs)
    return replace(comparison, runs=runs), tables


def with_any_verdict(ranked: Comparison, tables: Mapping[str, Mapping[str, np.ndarray]]) -> Comparison:
    """Return ranked runs with the verdict on their best, from the tables that `scored_by_tables` returned."""
    there = {run.name: tables[run.name] for run in ranked.done if run.name in tables}
    if ranked.measure not in table_scores() or len(there) < 2:
        return ranked
    with tempfile.TemporaryDirectory() as empty:
        return judged_by(ranked, there, Path(empty, "verdict.json"))


def read_table(file: Path, columns: Columns) -> dict[str, np.ndarray]:
    """Return the columns of a table by their names here, as text; ``split`` and ``repeat`` where there are such.

    Raises
    ------
    InputError
        If it is none, or a column is missing.
    """
    frame = _frame(file)
    there = [str(name) for name in frame]
    frame.columns = there
    for needed in ("id", "reference", "predicted"):
        name = getattr(columns, needed)
        if name not in there:
            raise InputError(
                f"{printable(file.name)} has no column {name}; there are {printable(', '.join(there[:12]))}: "
                f"say which it is, --columns {needed}=NAME"
            )
    names = {one.name: getattr(columns, one.name) for one in fields(columns)}
    table = {
        name: np.array(
            [
                "" if missing else str(value)
                for value, missing in zip(frame[column], frame[column].isna(), strict=True)
            ],
            dtype=object,
        )
        for name, column in names.items()
        if column in there
    }
    if not len(frame):
        raise InputError(f"{printable(file.name)} has no rows")
    if "repeat" not in table and len(set(table["id"])) < len(table["id"]):
        raise InputError(f"{printable(file.name)}: some names in {columns.id} are there more than once")
    foreign = {*table["predicted"]} - {*table["reference"]} - {*NOTHING}
    if len(foreign) > MOST_FOREIGN:
        raise InputError(
            f"{printable(file.name)}: {len(foreign)} values of {columns.predicted} are no reference class "
            f"({printable(sorted(foreign)[0])}, ...); is it the column of classes?"
        )
    if {*table["predicted"]} & {*NOTHING}:
        raise InputError(f"{printable(file.name)}: an object has no predicted class")
    return table


def _frame(file: Path) -> pd.DataFrame:
    import pandas as pd

    content = io.BytesIO(read_content(file, MOST_BYTES_OF_A_TABLE))
    try:
        if file.suffix == PARQUET:
            return pd.read_parquet(content)
        if file.suffix == ".json":
            found = json.loads(content.read())
            return pd.DataFrame(found["data"], columns=found["columns"])
        return pd.read_csv(content, dtype=str, keep_default_na=False)
    except Exception as error:  # pandas and pyarrow raise many kinds at what is no table
        reason = printable(str(error).partition("\n")[0], 200)
        raise InputError(f"{printable(file.name)}: not a table of predictions ({reason})") from error


def _in_numbers(tables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Return tables with classes as whole numbers, the same in all of them, and `UNKNOWN` where there is none."""
    cells = {text for table in tables.values() for name in ("reference", "predicted") for text in table[name]}
    names = sorted(cells - {*NOTHING})
    if len(names) > MOST_CLASSES:
        log.warning("No verdict: %d different classes; are these the columns of classes?", len(names))
        return {}
    whole = all(re.fullmatch(r"-?\d{1,15}(\.0+)?", name) for name in names)
    numbers = {name: int(float(name)) if whole else place for place, name in enumerate(names)}
    numbers |= dict.fromkeys(NOTHING, UNKNOWN)

    def classes(texts: np.ndarray) -> np.ndarray:
        return np.array([numbers[text] for text in texts], dtype=float)

    found = {}
    for run, table in tables.items():
        reference, n = classes(table["reference"]), len(table["id"])
        split = table.get("split", np.full(n, "test", dtype=object))
        found[run] = {
            "id": table["id"],
            "split": split,
            "reference": np.where(reference == UNKNOWN, np.nan, reference),
            "label": np.where(reference == UNKNOWN, np.nan, reference),
            "predicted": classes(table["predicted"]),
        }
        if "repeat" in table:
            found[run]["repeat"] = np.array(table["repeat"], dtype=float)
    return found


def _scored(run: Run, table: Mapping[str, np.ndarray] | None) -> Run:
    """Return a run with the scores of its table, their intervals and chance levels, unless it has scores."""
    if table is None or "repeat" in table or any(name in run.metrics for name in table_scores()):
        return run
    known = (table["split"] == "test") & np.isfinite(table["reference"])
    if not known.any():
        return run
    scores = score(table["reference"][known].astype(int), table["predicted"][known].astype(int), N_DRAWS, 0)
    numbers = scores.metrics()
    numbers |= {"n_test": float(known.sum()), "n_predicted_classes": float(np.unique(table["predicted"][known]).size)}
    return replace(run, metrics={**numbers, **run.metrics})
