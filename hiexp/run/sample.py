"""What is left of a sample and its fits, before anything is learned from it."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from hiexp import plots
from hiexp.errors import InputError
from hiexp.fitting import FitResult
from hiexp.long_tables import table_name, write_table
from hiexp.run.compact import PROFILES_FILE, CompactLines, on_a_page
from hiexp.run.files import PLOTS_FOLDER
from hiexp.run.summary import SKIPPED_FILE
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

CATALOGUE_FILE, UNMATCHED_FILE = "catalogue.csv", "unmatched.csv"


def write_sample(spectra: Spectra, fit: FitResult, folder: Path) -> None:
    """Write what is known of a sample before anything is learned from it.

    The fits (`FitResult.write`) and ``catalogue.csv`` always; ``skipped.csv`` and ``unmatched.csv`` where there is
    any; pictures of the fits where any can be used, and ``profiles.parquet``, the lines in few bytes, where they are
    at most 65,535. Of long tables there is ``.parquet`` in the stead of ``.csv``.
    """
    fit.write(folder)
    write_table(spectra.catalogue.rename_axis("id"), folder / CATALOGUE_FILE, index=True)
    skipped = pd.concat([spectra.skipped, fit.failures()], ignore_index=True)
    if len(skipped):
        write_table(skipped, folder / SKIPPED_FILE)
    if len(spectra.unmatched):
        write_table(spectra.unmatched, folder / UNMATCHED_FILE)
    if fit.good.any():
        pictures = folder / PLOTS_FOLDER
        pictures.mkdir()
        plots.plot_fits(spectra, fit, pictures / "fits.png")
        plots.plot_parameters(fit, pictures / "parameters.png")
        if on_a_page(len(spectra)):
            CompactLines.of(spectra, fit).write(folder / PROFILES_FILE)


def say_missing(spectra: Spectra, fit: FitResult) -> None:
    """Say what is missing in a sample that `write_sample` has written."""
    skipped = len(spectra.skipped) + int((~fit.good).sum())
    if skipped:
        found = len(spectra) + len(spectra.skipped)
        log.warning("Skipped %d of %d objects: %s says why", skipped, found, table_name(SKIPPED_FILE, skipped))
    for reason, count in spectra.unmatched["reason"].value_counts().items():
        log.info("%d times %s: %s", count, reason, table_name(UNMATCHED_FILE, len(spectra.unmatched)))


def check_sample(fit: FitResult) -> None:
    """Raise an `InputError` where no spectrum can be used."""
    if not fit.good.any():
        raise InputError(
            f"none of the {len(fit.table)} spectra can be used; the first: {fit.failures()['reason'].iloc[0]}"
        )
