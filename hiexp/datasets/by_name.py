"""Objects by their names, as people write them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.spectra import Spectra


def name_key(name: object) -> str:
    """Return a name as it is compared: in one case, without blanks, numbers without leading zeros."""
    key = "".join(str(name).split()).casefold()
    return key.lstrip("0") if key.isdigit() else key


def choose(spectra: Spectra, names: Sequence[str]) -> Spectra:
    """Return the objects with these names, in the order of the sample.

    Raises
    ------
    InputError
        If one is not there; the message says why, or which name is like it.
    """
    wanted = [name_key(name) for name in names]
    keys = [name_key(name) for name in spectra.ids]
    skipped = {name_key(name): str(reason) for name, reason in spectra.skipped[["name", "reason"]].to_numpy()}
    for name, key in zip(names, wanted, strict=True):
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            like = f"; do you mean {shown(spectra.ids[keys.index(near[0])])}?" if near else ""
            why = f"could not be read: {skipped[key]}" if key in skipped else f"none of the {len(keys)} objects{like}"
            raise InputError(f"ids={shown(name)}: {why}")
    of_them = [key in wanted for key in keys]
    unmatched = spectra.unmatched[spectra.unmatched["name"].map(name_key).isin(wanted)]
    return replace(spectra.take(np.array(of_them)), skipped=spectra.skipped[:0], unmatched=unmatched)
