"""Whether the classes depend on catalogue parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import entropy, kruskal
from sklearn.feature_selection import mutual_info_classif

FITTED = {"HIflux": "flux_int", "Vhel": "position", "W50": "w50", "W20": "w20", "SNR": "snr"}
"""Parameters of catalogues and the columns of the fits that stand in for them."""


def catalogue_parameters(names: Sequence[str], catalogue: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """Return parameters of N objects, as numbers.

    Parameters
    ----------
    names : sequence of str
        Columns of the catalogue, or of the fits: ``W50`` is the fits' ``w50`` where the catalogue has none. Those
        that neither has, or that no object has a value of, are left out.
    catalogue, fits : DataFrame
        A row an object each, in the same order.
    """
    # Of series in which no line was looked for, what the fit calls a flux is in no unit.
    measured = FITTED if "w50" in fits and fits["w50"].notna().any() else {}
    columns = {}
    for name in names:
        places = [(catalogue, name), (fits, name), (fits, measured.get(name, name))]
        found = next((table[key] for table, key in places if key in table), None)
        if found is not None:
            columns[name] = pd.to_numeric(found, errors="coerce").to_numpy(float)
    table = pd.DataFrame(columns, index=catalogue.index).replace([np.inf, -np.inf], np.nan)
    return table.dropna(axis="columns", how="all")


def medians_by_class(parameters: pd.DataFrame, classes: np.ndarray) -> pd.DataFrame:
    """Return a row for each parameter and class: ``n`` values, their ``median``, and their 16 and 84 % quantiles.

    Parameters
    ----------
    parameters : DataFrame
        A row an object; NaN where a value is not known.
    classes : ndarray, shape (N,)
        Classes.
    """
    rows = []
    for name, column in parameters.items():
        values = column.to_numpy()
        for label in np.unique(classes):
            known = values[(classes == label) & ~np.isnan(values)]
            low, median, high = np.quantile(known, [0.16, 0.5, 0.84]) if known.size else [np.nan] * 3
            rows.append((name, label, known.size, median, low, high))
    return pd.DataFrame(rows, columns=["parameter", "class", "n", "median", "p16", "p84"])


def dependence(parameters: pd.DataFrame, classes: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Return how strongly the classes depend on each parameter, strongest first.

    Parameters
    ----------
    parameters : DataFrame
        A row an object; NaN where a value is not known.
    classes : ndarray, shape (N,)
        Classes.
    seed : int
        Seed of the estimate of the mutual information.

    Returns
    -------
    DataFrame
        A row a parameter, indexed by its name: ``n`` objects with a value; ``kruskal_h``, the statistic of Kruskal
        and Wallis (1952, JASA 47, 583) that all classes have one distribution, and its ``p``; ``epsilon2`` =
        H / (n - 1), the share of the ranks' variance that lies between the classes, 0 to 1 (Tomczak & Tomczak 2014,
        Trends in Sport Sciences 21, 19); ``information``, the mutual information in bits by nearest neighbours (Ross
        2014, PLoS ONE 9, e87357), and ``information_share``, the same over the entropy of the classes. Classes with
        fewer than two values are left out; a parameter with values in fewer than two classes has no row, nor has a
        constant one.
    """
    rows = {}
    for name, column in parameters.items():
        values, labels = column.to_numpy(), classes
        known = np.isfinite(values)
        names, counts = np.unique(labels[known], return_counts=True)
        known &= np.isin(labels, names[counts > 1])
        values, labels = values[known], labels[known]
        if np.unique(labels).size < 2 or np.ptp(values) == 0:
            continue
        h, p = kruskal(*(values[labels == label] for label in np.unique(labels)))
        (nats,) = mutual_info_classif(values[:, None], labels, random_state=seed)
        share = nats / entropy(np.unique(labels, return_counts=True)[1])
        rows[name] = (values.size, h, p, h / (values.size - 1), nats / np.log(2), share)
    columns = ["n", "kruskal_h", "p", "epsilon2", "information", "information_share"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("parameter").sort_values("epsilon2", ascending=False, kind="stable")
