"""What is done once, when the last pass is over: horns, the status of needles, flags."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hiexp.fitting.flags import conventions_differ, look_beside, words
from hiexp.fitting.horns import measure_horns
from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.model import AT_ONCE, Model
from hiexp.fitting.passes import Pass
from hiexp.fitting.status import NEEDLE


def finish(
    table: pd.DataFrame, channels: Channels, lines: Lines, rows: Tensor, fitted: Pass, model: Model
) -> pd.DataFrame:
    """Return the last pass's table (N rows) with what is measured on its good fits, `rows`, shape (B,), and flags."""
    window = torch.stack([fitted.low, fitted.high], dim=1)[rows]
    horns = measure_horns(
        model,
        fitted.parameters[rows],
        fitted.covariances[rows],
        fitted.low[rows],
        fitted.high[rows],
        channels.width[rows],
        fitted.measured["w50"][rows],
        fitted.measured_errors["w50"][rows],
    )
    left = (channels.flux - fitted_curve(channels, rows, fitted, model))[rows]
    low, high = fitted.edges[rows].unbind(1)
    found = look_beside(channels.take(rows), lines.take(rows), left, low, high, window)
    columns = {
        **horns.numbers,
        **{f"{name}_err": error for name, error in horns.errors.items()},
        "v_confusion": found.v_confusion,
    }
    flags = found.applies | {"at_bound": fitted.at_bound[rows], "needle": horns.narrow}
    good, needle = rows.cpu().numpy(), horns.needle.cpu().numpy()
    table = table.assign(**dict.fromkeys(columns, np.nan), flags="")
    table.iloc[good, table.columns.get_indexer(list(columns))] = torch.stack([*columns.values()], 1).cpu().numpy()
    table.iloc[good[needle], table.columns.get_loc("status")] = NEEDLE
    applies = {name: value.cpu().numpy() & ~needle for name, value in flags.items()}
    applies["width_conventions"] = conventions_differ(table)[good] & ~needle
    table.iloc[good, table.columns.get_loc("flags")] = words(applies, len(good))
    return table[[name for name in table if name not in ("status", "flags")] + ["status", "flags"]]


def fitted_curve(channels: Channels, rows: Tensor, fitted: Pass, model: Model) -> Tensor:
    """Return the curves of the spectra `rows`, 0 beyond their windows and for the others, mJy, shape (N, L)."""
    curve = torch.zeros_like(channels.flux)
    first, last = channels.find(fitted.low, fitted.high)
    rows = rows[(last - first)[rows, 0].argsort()]  # so that those worked on together are about as long
    for part in rows.split(AT_ONCE[rows.device.type]) if len(rows) else ():
        begin, end = first[part], last[part]
        longest = max(int((end - begin).max()), 1)
        place = begin.clamp_max(curve.shape[1] - longest) + torch.arange(longest, device=rows.device)
        value = model.value(channels.velocity[part].gather(1, place), fitted.parameters[part])
        inside = (place >= begin) & (place < end)
        curve[part] = curve[part].scatter(1, place, torch.where(inside, value, 0))
    return curve
