"""What every fit returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

GOOD = "ok"


@dataclass(frozen=True)
class FitResult:
    """Measurements and line profiles of N objects.

    Attributes
    ----------
    table : DataFrame
        One row an object, indexed by id. ``position``, ``w50``, ``w20`` in km/s, ``flux_peak`` in mJy,
        ``flux_int`` in Jy km/s, ``snr`` (integrated), ``chi2``, ``chi2_dof``, ``mse`` (mJy^2), ``r2``, the
        model's parameters and their one-sigma errors (``*_err``), and ``status``: "ok" or what went wrong.
    profiles : ndarray, shape (N, n_samples)
        The curve, or the data, over the line window, mJy; NaN throughout where ``status`` is not "ok".
    """

    table: pd.DataFrame
    profiles: np.ndarray

    @property
    def good(self) -> np.ndarray:
        """Objects with a profile, bool, shape (N,)."""
        return (self.table["status"] == GOOD).to_numpy()

    def failures(self) -> pd.DataFrame:
        """Return the objects without a profile, in the columns of `Spectra.skipped`."""
        failed = self.table.loc[~self.good, "status"]
        return pd.DataFrame({"name": failed.index, "reason": failed.to_numpy()})


def goodness(data: np.ndarray, model: np.ndarray, rms: float, n_parameters: int) -> dict[str, float]:
    """Return chi2, chi2_dof, mse and r2 of a model against the channels it was fitted to.

    Parameters
    ----------
    data, model : ndarray, shape (M,)
        mJy.
    rms : float
        Noise of one channel, mJy.
    n_parameters : int
        Free parameters of the model.
    """
    residual = data - model
    chi2 = float(np.sum((residual / rms) ** 2))
    scatter = float(np.sum((data - data.mean()) ** 2))
    return {
        "chi2": chi2,
        "chi2_dof": chi2 / max(data.size - n_parameters, 1),
        "mse": float(np.mean(residual**2)),
        "r2": 1 - float(np.sum(residual**2)) / scatter if scatter > 0 else np.nan,
    }
