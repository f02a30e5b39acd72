"""How unlike the two sides of a line are, by the measures of the literature, on spectra as they are."""

from __future__ import annotations

import numpy as np

from hiexp.spectral.growth import integral_to, larger_over_smaller, running_integral


def lopsidedness(
    velocity: np.ndarray, flux: np.ndarray, low: float, high: float, systemic: float
) -> dict[str, np.ndarray]:
    """Compare the two sides of a line.

    Parameters
    ----------
    velocity : ndarray, shape (L,)
        km/s, ascending.
    flux : ndarray, shape (R, L)
        mJy; R spectra of the line.
    low, high : float
        Its edges at 20 % of the peak, km/s.
    systemic : float
        Its systemic velocity, km/s.

    Returns
    -------
    dict of ndarray, shape (R,)
        ``A_fr``, flux on one side of the middle of the edges over that on the other, the larger over the smaller
        (Watts et al. 2020, MNRAS 492, 3672; Bok et al. 2019, MNRAS 484, 582); ``A_sys``, the same about the systemic
        velocity, and ``A_spec``, the sum of the differences of channels that mirror each other about it over the sum
        of them (Reynolds et al. 2020, MNRAS 493, 5089; Deg et al. 2020, MNRAS 495, 1984: channel-by-channel
        asymmetry), 0 for a symmetric line and raised by noise; ``dv_sys``, the flux-weighted mean less the systemic
        velocity (km/s; Reynolds et al. 2020); ``v_equal``, on both sides of which there is the same flux (km/s), and
        ``A_equal``, its distance from the systemic velocity over half of the width (Deg et al. 2020). NaN where a
        side has no positive flux, or the line reaches beyond the spectrum.
    """
    rows = len(flux)
    edges, area = running_integral(velocity, flux)
    names = ("A_fr", "A_sys", "A_spec", "dv_sys", "v_equal", "A_equal")
    if not edges[0] <= low < high <= edges[-1] or not low < systemic < high:
        return {name: np.full(rows, np.nan) for name in names}

    ends = np.tile([low, (low + high) / 2, systemic, high], (rows, 1))
    up_to_low, up_to_middle, up_to_systemic, up_to_high = np.split(integral_to(edges, area, ends), 4, axis=1)
    total = (up_to_high - up_to_low)[:, 0]
    with np.errstate(all="ignore"):  # without flux
        inside = np.clip(edges, low, high)
        weight = flux * np.diff(inside)
        centres = (inside[1:] + inside[:-1]) / 2
        mean = weight @ centres / total
        reach = max(high - systemic, systemic - low)
        aside = np.arange(0.5, max(round(reach / np.median(np.diff(velocity))), 1)) * np.median(np.diff(velocity))
        above, below = (_sampled(velocity, flux, systemic + side * aside) for side in (1, -1))
        # Where half of the flux has been passed, counted from the lower edge.
        between = slice(*np.searchsorted(edges, [low, high]))
        passed = np.concatenate([[low], edges[between], [high]])
        grown = np.concatenate([0 * total[:, None], area[:, between] - up_to_low, total[:, None]], axis=1)
        place = (grown >= total[:, None] / 2).argmax(axis=1)
        each, before = np.arange(rows), np.maximum(place - 1, 0)
        rise = grown[each, place] - grown[each, before]
        share = np.where(rise > 0, (total / 2 - grown[each, before]) / rise, 0.0)
        equal = passed[before] + share * (passed[place] - passed[before])
        found = {
            "A_fr": larger_over_smaller(up_to_middle - up_to_low, up_to_high - up_to_middle)[:, 0],
            "A_sys": larger_over_smaller(up_to_systemic - up_to_low, up_to_high - up_to_systemic)[:, 0],
            "A_spec": np.abs(above - below).sum(axis=1) / (np.abs(above) + np.abs(below)).sum(axis=1),
            "dv_sys": mean - systemic,
            "v_equal": equal,
            "A_equal": np.abs(equal - systemic) / ((high - low) / 2),
        }
    return {name: np.where(total > 0, values, np.nan) for name, values in found.items()}


def _sampled(velocity: np.ndarray, flux: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the flux at velocities, shape (R, M), linearly interpolated; 0 beyond the spectrum."""
    place = np.interp(places, velocity, np.arange(velocity.size), left=-1, right=-1)
    before = np.clip(place.astype(int), 0, velocity.size - 2)
    share = place - before
    values = flux[:, before] + share * (flux[:, before + 1] - flux[:, before])
    return np.where(place >= 0, values, 0.0)
