"""The value that every dataset returns and every fit takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from hiexp.errors import InputError
from hiexp.mapped import load_rows, save_rows

UNKNOWN = -1
"""Class of an object that has none."""


ARRAYS = ("ids", "velocity", "flux", "rms", "valid", "systemic", "reference", "held_out")
TABLES = ("catalogue", "skipped", "unmatched")


@dataclass(frozen=True)
class Spectra:
    """A sample of HI spectra on their own velocity axes.

    A value: its arrays are replaced (`dataclasses.replace`), not changed in place, since the fits of one sample share
    the search for its lines.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        Unique names: AGC or CIG numbers.
    velocity : ndarray, shape (N, L)
        Velocity of the channels, optical convention, km/s, ascending.
    flux : ndarray, shape (N, L)
        Flux density, mJy; 0 where not `valid`.
    rms : ndarray, shape (N,) or (N, L)
        Noise of one channel, mJy, alike for all channels of a spectrum or of each of its own; NaN where it cannot be
        measured.
    valid : ndarray of bool, shape (N, L)
        Channels that may be used.
    catalogue : DataFrame
        One row an object, indexed by id: whatever is known of it.
    systemic : ndarray, shape (N,)
        Velocity at which the line is expected, km/s; NaN where unknown.
    reference : ndarray of int, shape (N,), or None
        Reference class; `UNKNOWN` where an object has none; None where the dataset has none.
    held_out : ndarray of bool, shape (N,), or None
        The dataset's own split: objects not to train on; None where it has none.
    skipped : DataFrame
        What could not be read: columns ``name`` (of the file or the object) and ``reason``.
    unmatched : DataFrame
        Spectra without a row in the catalogue and rows without a spectrum, in the same columns.
    first : int
        Number of the first of them in the sample that they were taken from, by which noise is drawn.
    digest : str
        Fingerprint of the sample that they were taken from; empty where nobody has taken it.
    frame : str
        Frame of the velocities, as pictures name it: "heliocentric", or what the files say.
    """

    mapped = True  # read from a cache
    ids: np.ndarray
    velocity: np.ndarray
    flux: np.ndarray
    rms: np.ndarray
    valid: np.ndarray
    catalogue: pd.DataFrame
    systemic: np.ndarray
    reference: np.ndarray | None = None
    held_out: np.ndarray | None = None
    skipped: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["name", "reason"]))
    unmatched: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["name", "reason"]))
    first: int = 0
    digest: str = ""
    frame: str = "heliocentric"

    def __post_init__(self) -> None:
        """Refuse what would lose its unit or its mask on the way."""
        for name in ("velocity", "flux", "rms", "valid", "systemic"):
            values = getattr(self, name)
            if getattr(values, "unit", None) is not None or isinstance(values, np.ma.MaskedArray):
                raise InputError(
                    f"Spectra.{name}: give plain numbers in km/s and mJy (quantity.to_value(unit)), and mark "
                    "channels without a value in `valid`"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def typical_rms(self) -> np.ndarray:
        """Noise of one channel, mJy, shape (N,): the median of those that may be used; NaN where none is known."""
        if self.rms.ndim == 1:
            return self.rms
        known = np.ma.masked_where(~(self.valid & np.isfinite(self.rms) & (self.rms > 0)), self.rms)
        return np.ma.median(known, axis=1).filled(np.nan) if known.size else np.full(len(self), np.nan)

    def take(self, rows: np.ndarray | slice) -> Spectra:
        """Return the spectra of `rows`, a boolean mask of shape (N,) or a slice."""
        return replace(
            self,
            ids=self.ids[rows],
            velocity=self.velocity[rows],
            flux=self.flux[rows],
            rms=self.rms[rows],
            valid=self.valid[rows],
            catalogue=self.catalogue[rows],
            systemic=self.systemic[rows],
            reference=None if self.reference is None else self.reference[rows],
            held_out=None if self.held_out is None else self.held_out[rows],
            first=self.first + (rows.start or 0) if isinstance(rows, slice) else 0,
        )

    def without_channels(self) -> Spectra:
        """Return the sample without its channels, which are most of its memory and which only a fit needs."""
        cut = ("velocity", "flux", "valid", *(["rms"] if self.rms.ndim == 2 else []))
        return replace(self, **{name: getattr(self, name)[:, :0] for name in cut})

    def save(self, folder: Path) -> None:
        """Write everything into an empty folder, for `load`."""
        for name in ARRAYS:
            values = getattr(self, name)
            if values is not None:
                save_rows(folder / f"{name}.npy", values)
        for name in TABLES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; channels come from the disk as they are used."""
        n = len(np.load(folder / "ids.npy", mmap_mode="r"))
        arrays: dict[str, Any] = {file.stem: load_rows(file, n) for file in folder.glob("*.npy")}
        return cls(**arrays, **{name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES})


def computed(dataset: Callable[..., Spectra]) -> Callable[..., Spectra]:
    """Mark a dataset as computed: its spectra depend on its arguments alone, so that a cache may keep them."""
    dataset.computed = True  # type: ignore[attr-defined]
    return dataset


def without_nan(spectra: Spectra) -> Spectra:
    """Return the spectra with channels whose flux is not a number marked as not valid."""
    valid = spectra.valid & np.isfinite(spectra.flux)
    return replace(spectra, valid=valid, flux=np.where(valid, spectra.flux, 0.0))
