"""The files of runs and sweeps, read as what they are: data that a full disk, a copy or a stranger may have damaged.

Every function here returns what the rest can compute with, or raises an `InputError` in one line that names the file.
No link is followed, nothing but a regular file is opened, and none is read that is larger than such a file can be.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NotRequired,  # pydantic asks for it before Python 3.12
)

import numpy as np
import yaml
from annotated_types import MinLen
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import (
    TypedDict,
    get_type_hints,
    is_typeddict,
)

from hiexp.csv_tables import unescaped
from hiexp.errors import InputError
from hiexp.long_tables import PARQUET
from hiexp.nested import leaves
from hiexp.printable import printable

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

MOST_BYTES = 2**25  # of a file of settings or scores
MOST_BYTES_OF_A_TABLE = 2**30
LARGEST = 1e100  # of a score or a count: larger ones are no measurements and would overflow in what is made of them
AGAIN = "run it again"
DEEPEST = 100  # levels of settings
WHOLE = 2**53  # classes beyond are not told apart as floating-point numbers
CLASS_COLUMNS = ("reference", "label", "predicted", "repeat")
NULLABLE_COLUMNS = ("reference", "label", "predicted", "yardstick")  # whole numbers, or none
TEXT_COLUMNS = ("id", "split", "status", "unlike_training")
HYDRA = "hydra:\n"
PLAIN_KEY = re.compile(r" *([A-Za-z_][\w.@/-]*):(?=\s)")
SHARED = 4096  # parts of settings that are kept: most are the same in all jobs of a sweep

Words = Annotated[str, AfterValidator(printable)]


MORE = ConfigDict(extra="allow")


class _Job(TypedDict):
    name: Words


class _Overrides(TypedDict):
    task: list[Words]
    hydra: list[Words]


class _Runtime(TypedDict):
    choices: dict[Words, Any]


class SweepSettings(TypedDict):
    """What is needed of Hydra's own settings to tell the command of a sweep."""

    job: _Job
    overrides: _Overrides


class JobSettings(SweepSettings):
    """What is needed of Hydra's own settings to tell the command of a job and the members it chose."""

    runtime: _Runtime


class _Configuration(TypedDict):
    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    job: Words
    indistinguishable_from_best: bool


def _sane(value: float) -> float:
    if abs(value) > LARGEST:
        raise ValueError(f"{value:g} is too large")
    return value


Number = Annotated[float, AfterValidator(_sane)]


class _Best(TypedDict):
    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    job: Words
    score: Number
    p_family: Number
    corrected: Number
    corrected_low: Number
    corrected_high: Number


class _Maximum(TypedDict):
    mean: Number
    p05: Number
    p50: Number
    p95: Number


class Verdict(TypedDict):
    """What ``sweep.json`` says, as `hiexp.evaluation.SweepVerdict` writes it."""

    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    measure: Words
    configurations: Annotated[list[_Configuration], MinLen(1)]
    best: _Best
    maximum: _Maximum


class Pair(TypedDict):
    """A difference in ``pairs.json``, as `hiexp.comparison.pairs` writes it."""

    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    pair: Words
    score: Words
    first: Number
    second: Number
    mean: Number
    low: Number
    high: Number
    p: Number
    n: int


class _Trial(TypedDict):
    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    number: int
    state: Words
    value: Number | None
    job: Words
    repeated: bool


class _Importance(TypedDict):
    within: Words
    shares: dict[Words, Number]


class _Band(TypedDict):
    p05: list[Number]
    p50: list[Number]
    p95: list[Number]


class SearchVerdict(TypedDict):
    """What the configuration that a search has chosen is worth, as `hiexp.comparison.search` writes it."""

    job: Words
    inner: Number
    score: Number
    low: Number | None
    high: Number | None
    chance: Number
    chance95: Number
    p: Number
    n_test: int
    n_seen: int
    optimism: Number
    optimism_low: Number | None
    optimism_high: Number | None
    band: _Band | None


class _Sample(TypedDict):
    name: Words
    digest: Words
    source: Words
    context: Words
    size: int


class Provenance(TypedDict):
    """What ``provenance.json`` says, as `hiexp.run.provenance.provenance` has it."""

    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    command: Words
    code_version: Words
    code: Words
    versions: dict[Words, Words]
    samples: list[_Sample]


class Search(TypedDict):
    """What ``search.json`` says."""

    __pydantic_config__ = MORE  # type: ignore[misc]  # which is how pydantic is told
    objective: Words
    sampler: Words
    study: Words
    trials: list[_Trial]
    importances: list[_Importance]
    verdict: NotRequired[SearchVerdict]


def read_search(file: Path) -> Search:
    """Return what a ``search.json`` says."""
    return _checked(file, _json(file), Search)


def read_provenance(file: Path) -> Provenance:
    """Return what a ``provenance.json`` says."""
    return _checked(file, _json(file), Provenance)


def read_verdict(file: Path) -> Verdict:
    """Return what a ``sweep.json`` says."""
    return _checked(file, _json(file), Verdict)


def read_pairs(file: Path) -> list[Pair]:
    """Return what a ``pairs.json`` says."""
    return _checked(file, _json(file), list[Pair])


def read_metrics(file: Path) -> dict[str, float]:
    """Return the numbers of a ``metrics.json``; those that are infinite are no numbers to compare by, and NaN."""
    found = _json(file)
    if not isinstance(found, dict):
        raise InputError(f"{file} is damaged: it holds no numbers by name; {AGAIN}")
    metrics = {}
    for name, value in found.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{file} is damaged: {_short(name)} is {_short(value)} and no number; {AGAIN}")
        if LARGEST < abs(value) < math.inf:
            raise InputError(f"{file} is damaged: {_short(name)} is {_short(value)}, which is no score; {AGAIN}")
        metrics[_name(name)] = math.nan if math.isinf(value) else value
    return metrics


_name = lru_cache(SHARED)(printable)  # of a metric, which all runs have


def read_job_settings(file: Path) -> JobSettings:
    """Return what a job's ``.hydra/hydra.yaml`` says."""
    return _hydra(file, JobSettings)


def read_sweep_settings(file: Path) -> SweepSettings:
    """Return what a sweep's ``multirun.yaml`` says."""
    return _hydra(file, SweepSettings)


def read_config(file: Path) -> dict[str, object]:
    """Return the settings in a run's ``config.yaml``, which may be nested."""
    return _checked(file, _yaml(file), dict[str, Any])


def read_flat_config(file: Path) -> dict[str, str]:
    """Return every setting in a run's ``config.yaml`` as text under its dotted key."""

    def parse(text: str) -> dict[str, str]:
        parts = _parts(text)
        if parts is None:
            return _flat(_checked(file, _load_yaml(text), dict[str, Any]))
        return {key: value for part in parts.values() for key, value in _flat_part(part).items()}

    return _parsed(file, parse)


def read_overrides(file: Path) -> list[str]:
    """Return the words in a job's ``.hydra/overrides.yaml``."""
    return _checked(file, _yaml(file), list[Words])


def read_reason(file: Path) -> str:
    """Return why a run has failed, from its ``error.txt``, in one line."""
    try:
        return printable(read_content(file, MOST_BYTES).decode("utf-8", "replace").partition("\n\n")[0])
    except InputError as error:
        return str(error)


def read_predictions(
    file: Path,
    columns: Sequence[str] = ("id", "split", "reference", "label", "predicted"),
    n_test: float | None = None,
) -> dict[str, np.ndarray]:
    """Return columns of a ``predictions.csv``, or of the Parquet of many rows, by name; its ``repeat`` if it has one.

    A sweep has thousands of such tables, and pandas takes several times as long to read a small one.

    Parameters
    ----------
    file : Path
        A run's table.
    columns : sequence of str
        What the table must have, ``split`` among them. Classes, ``reference``, ``label`` and ``predicted``, are whole
        numbers or NaN; those predicted of the objects held out are there. The others are texts.
    n_test : float, optional
        How many objects the run has held out, by its metrics: a table that was cut may have fewer.
    """
    cells = _cells(file, columns)
    held_out = np.array([split == "test" for split in cells["split"]], dtype=bool)
    if not all(cells["split"]) or held_out.sum() < (n_test or 0):
        raise InputError(f"{file} is damaged: it ends after {len(held_out)} rows; {AGAIN}")
    table = {}
    for name, texts in cells.items():
        if name in CLASS_COLUMNS:
            needed = held_out if name in ("predicted", "repeat") else np.zeros(len(held_out), dtype=bool)
            table[name] = _classes(file, name, texts, needed)
        else:
            table[name] = np.array(texts, dtype=object)
    return table


def read_prediction_table(file: Path, n_test: float | None = None) -> pd.DataFrame:
    """Return all of a run's table, as `read_predictions` takes it: classes are whole numbers or NA."""
    read_predictions(file, n_test=n_test)  # sees damage; pandas fills up a line that was cut
    table = read_table(file)
    try:
        return table.astype({name: "Int64" for name in NULLABLE_COLUMNS if name in table})
    except (TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged: {_first_line(error)}; {AGAIN}") from error


def read_table(file: Path) -> pd.DataFrame:
    """Return a table that `hiexp.long_tables.write_table` has written, with an ``id`` that is text."""
    import pandas as pd

    content = read_content(file, MOST_BYTES_OF_A_TABLE)
    try:
        if file.suffix == PARQUET:
            return pd.read_parquet(io.BytesIO(content))
        return pd.read_csv(
            io.BytesIO(content),
            converters=dict.fromkeys(TEXT_COLUMNS, unescaped),
            float_precision="round_trip",
        )
    except Exception as error:  # pandas and pyarrow raise many kinds at what is no table
        raise InputError(f"{file} is damaged: {_first_line(error)}; {AGAIN}") from error


def read_fits(file: Path) -> Table:
    """Return a ``fits.parquet`` with its units."""
    from astropy.table import Table

    content = read_content(file, MOST_BYTES_OF_A_TABLE)
    try:
        return Table.read(io.BytesIO(content), format="parquet")
    except Exception as error:  # astropy, yaml and pyarrow raise many kinds at what is no table
        raise InputError(f"{file} is damaged: {_first_line(error)}; {AGAIN}") from error


def _cells(file: Path, columns: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return columns of a table, and ``repeat`` if it has one, as texts, empty where there is nothing."""
    content = read_content(file, MOST_BYTES_OF_A_TABLE)
    rows: list[list[str]] = []
    frame = None
    try:
        if file.suffix == PARQUET:
            import pandas as pd

            frame = pd.read_parquet(io.BytesIO(content))
            names = [*frame]
        else:
            names, *rows = (row for row in csv.reader(io.StringIO(content.decode(), newline="")) if row)
    except ValueError:  # no line, or no UTF-8
        names = []
    except Exception as error:  # csv and pyarrow raise many kinds at what is no table
        raise InputError(f"{file} is damaged: {_first_line(error)}; {AGAIN}") from error
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(f"{file} is damaged: it has no column {missing[0]}; {AGAIN}")
    wanted = [*columns, *(["repeat"] if "repeat" in names else [])]
    if frame is not None:
        return {name: frame[name].astype(object).where(frame[name].notna(), "").map(str).tolist() for name in wanted}
    if {*map(len, rows)} - {len(names)}:
        raise InputError(f"{file} is damaged: it ends after {len(rows)} rows; {AGAIN}")
    by_column: Iterable[Sequence[str]] = zip(*rows, strict=True) if rows else [()] * len(names)
    by_name = dict(zip(names, by_column, strict=True))
    for name in wanted:
        if name not in CLASS_COLUMNS and "'" in "".join(by_name[name]):
            by_name[name] = [str(unescaped(text)) for text in by_name[name]]
    return {name: by_name[name] for name in wanted}


def _classes(file: Path, name: str, cells: Sequence[str], needed: np.ndarray) -> np.ndarray:
    """Return the classes in a column of a table, NaN where there is none."""
    try:
        values = np.array([cell or "nan" for cell in cells], dtype=float)
        with np.errstate(invalid="ignore"):  # of infinity
            wrong = (np.abs(values) >= WHOLE) | (values % 1 > 0) | (np.isnan(values) & needed)
    except ValueError:
        wrong = np.array([not _is_number(cell or "nan") for cell in cells])
    if wrong.any():
        value = cells[int(np.argmax(wrong))] or "missing"
        raise InputError(f"{file} is damaged: {name} is {_short(value)} and no class; {AGAIN}")
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_picture(file: Path) -> bytes:
    """Return the bytes of a picture, whatever they are."""
    return read_content(file, MOST_BYTES)


def read_content(file: Path, most: int) -> bytes:
    """Return the bytes of a regular file."""
    try:
        with open(file, "rb", opener=_open_regular) as stream:
            content = stream.read(most + 1)
    except OSError as error:
        reason = "it is a link, and links are not followed" if error.errno == errno.ELOOP else error.strerror
        raise InputError(f"{file} cannot be read: {reason}; {AGAIN}") from error
    if len(content) > most:
        raise InputError(f"{file} is larger than {most / 2**20:.0f} MiB, which no such file is; {AGAIN}")
    return content


def _open_regular(file: str, flags: int) -> int:
    # A pipe would block here, and some devices never end.
    descriptor = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def _parsed(file: Path, parse: Callable[[str], Any]) -> Any:
    content = read_content(file, MOST_BYTES)
    if not content.strip(b"\0 \t\r\n"):
        raise InputError(f"{file} is damaged: it is empty; {AGAIN}")
    try:
        return parse(content.decode())
    except Exception as error:  # parsers raise a dozen kinds at what is damaged, RecursionError among them
        raise InputError(f"{file} is damaged: {_first_line(error)}; {AGAIN}") from error


def _json(file: Path) -> object:
    return _parsed(file, json.loads)


def _yaml(file: Path) -> object:
    return _parsed(file, _load_yaml)


def _load_yaml(text: str) -> object:
    # A few lines of aliases stand for gigabytes, and thousands of levels overflow the stack of the parser's C code.
    # Where a look at the text says that it has neither, it is not parsed twice.
    deepest = max(map(len, text.splitlines())) + text.count("[") + text.count("{")
    if "*" in text or deepest > 10 * DEEPEST:
        depth = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise ValueError("it has aliases or too many levels, which Hydra does not write")
    return yaml.load(text, yaml.CSafeLoader)  # ten times as fast as OmegaConf's own


def _hydra(file: Path, kind: Any) -> Any:
    """Return what is needed of Hydra's own settings; the rest, nearly all of it, is not parsed where that can be."""

    def parse(text: str) -> object:
        needed = _needed(text, HYDRA, kind)
        if needed is not None:
            return needed
        found = _load_yaml(text)
        return found.get("hydra") if isinstance(found, dict) else found

    return _checked(file, _parsed(file, parse), kind)


def _needed(text: str, head: str, kind: Any) -> dict[str, Any] | None:
    """Return what a block of YAML says under the keys of a kind of dict; None where its keys cannot be told apart."""
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    if not text.startswith(head):
        return None
    block = re.split(rf"^(?!{indent}|$)", text.removeprefix(head), maxsplit=1, flags=re.MULTILINE)[0]
    parts = _parts(block, indent)
    if parts is None:
        return None
    found = {}
    for key, inner in _fields(kind).items():
        if key in parts:
            block = _needed(parts[key], f"{indent}{key}:\n", inner) if is_typeddict(inner) else None
            found[key] = _part(parts[key])[key] if block is None else block
    return found


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _parts(text: str, indent: str = "") -> dict[str, str] | None:
    """Return the lines of each key of a block of YAML; None where it has none that can be told apart so.

    Lines that go on with a value are indented more than its key, or begin with the dash of a list.
    """
    first, *parts = re.split(rf"^(?={indent}[^\s-])", text, flags=re.MULTILINE)
    keys = [PLAIN_KEY.match(part) for part in parts]
    if first or not all(keys):
        return None
    return {key[1]: part for key, part in zip(keys, parts, strict=True) if key}


@lru_cache(SHARED)
def _part(text: str) -> dict[str, Any]:
    found = _load_yaml(text)
    if not isinstance(found, dict):
        raise ValueError("it holds no settings by name")
    return found


@lru_cache(SHARED)
def _flat_part(text: str) -> dict[str, str]:
    return _flat(_part(text))


def _flat(settings: dict[str, Any]) -> dict[str, str]:
    return {printable(key): printable(str(value)) for key, value in leaves(settings)}


def _checked(file: Path, found: object, kind: Any) -> Any:
    """Return what a file holds if it is of the kind that the rest computes with."""
    try:
        return _adapter(kind).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        said = " ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
        raise InputError(f"{file} is damaged: {_short(said)}; {AGAIN}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _first_line(error: Exception) -> str:
    return _short(str(error).strip().partition("\n")[0] or type(error).__name__)


def _short(value: object) -> str:
    """Return what an error message can hold of a value."""
    return printable(str(value) if isinstance(value, (str, float)) else repr(value), at_most=80)
