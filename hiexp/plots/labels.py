"""What stands on the axes of all pictures: a label and a unit for each column that is known, in one table."""

from __future__ import annotations

from matplotlib.axis import Axis

from hiexp.plots.figure import short
from hiexp.printable import printable

OFFSET = "velocity from the window's centre (km/s)"
OF_HALF_WINDOW = "(velocity \N{MINUS SIGN} window's centre) / half window"
FLUX_DENSITY, SCALED = "flux density (mJy)", "flux density, scaled to 0..1"
RESIDUAL = "residual / rms"

COLUMNS = {
    # Of catalogues.
    "HIflux": (r"HI flux", "Jy km/s"),
    "Vhel": (r"$V_{\mathrm{hel}}$", "km/s"),
    "Dist": ("distance", "Mpc"),
    "W50": (r"$W_{50}$", "km/s"),
    "W20": (r"$W_{20}$", "km/s"),
    "SNR": ("S/N", ""),
    "RAJ2000": ("right ascension, J2000", "deg"),
    "DEJ2000": ("declination, J2000", "deg"),
    # Of every fit, named as `hiexp.fitting.measurements` has them.
    "position": (r"$V_{\mathrm{line}}$", "km/s"),
    "v_horns": (r"$V_{\mathrm{sys}}$", "km/s"),
    "w50": (r"$W_{50}$", "km/s"),
    "w20": (r"$W_{20}$", "km/s"),
    "w80": (r"$W_{80}$", "km/s"),
    "w50_horns": (r"$W_{50}$ of the horns", "km/s"),
    "wm50": (r"$W_{\mathrm{m50}}$", "km/s"),
    "flux_peak": ("peak flux density", "mJy"),
    "flux_int": ("integrated flux", "Jy km/s"),
    "snr": ("S/N", ""),
    "A_flux": (r"$A_{\mathrm{flux}}$", ""),
    "chi2": (r"$\chi^2$", ""),
    "chi2_dof": (r"reduced $\chi^2$", ""),
    "r2": (r"$R^2$", ""),
    "horns": ("horns", ""),
    "trough_snr": ("S/N of the trough", ""),
    "rms": ("rms noise", "mJy"),
    "channel_width": ("channel width", "km/s"),
    # Of `measurements=data`.
    "w50_corr": (r"$W_{50}$, corrected", "km/s"),
    "w50_horns_corr": (r"$W_{50}$ of the horns, corr.", "km/s"),
    "wm50_corr": (r"$W_{\mathrm{m50}}$, corrected", "km/s"),
    "logMHI": (r"$\log(M_{\mathrm{HI}}/M_\odot)$", ""),
    "cog_v": (r"$V_{\mathrm{c}}$, curve of growth", "km/s"),
    "cog_flux": ("flux, curve of growth", "Jy km/s"),
    "cog_v25": (r"$V_{25}$", "km/s"),
    "cog_v75": (r"$V_{75}$", "km/s"),
    "cog_v85": (r"$V_{85}$", "km/s"),
    "cog_v95": (r"$V_{95}$", "km/s"),
    "cog_A_F": (r"$A_F$", ""),
    "cog_A_C": (r"$A_C$", ""),
    "cog_C_V": (r"$C_V$", ""),
    "cog_K": (r"$K$", ""),
    "A_fr": (r"$A_{\mathrm{fr}}$", ""),
    "A_sys": (r"$A_{\mathrm{sys}}$", ""),
    "A_spec": (r"$A_{\mathrm{spec}}$", ""),
    "A_equal": (r"$A_{\mathrm{equal}}$", ""),
    # Of the Busy Function (Westmeier et al. 2014).
    "a": ("$a$", "mJy"),
    "b1": ("$b_1$", "s/km"),
    "b2": ("$b_2$", "s/km"),
    "c": ("$c$", ""),
    "xe": ("$x_e$", "km/s"),
    "xp": ("$x_p$", "km/s"),
    "w": ("$w$", "km/s"),
    "n": ("$n$", ""),
}
"""Label, with mathtext, and unit of a column as it is drawn."""


def velocity_of(frame: str) -> str:
    """Return the label of a velocity axis whose frame is given."""
    return f"{printable(frame, 24)} velocity, optical (km/s)"


def label_of(name: str, unit: str | None = None) -> tuple[str, bool]:
    """Return what stands for a column on a picture, with its unit, and whether it is mathtext.

    A column that is not in the table stands by its name, which is never taken for mathtext.

    Parameters
    ----------
    name : str
        Name of the column in a table.
    unit : str, optional
        As astropy writes it; that of the table where not given.
    """
    label, of_table = COLUMNS.get(name, (short(name), ""))
    shown = of_table if unit is None else unit.replace(" / ", "/")
    return (f"{label} ({shown})" if shown else label), name in COLUMNS


def name_axis(axis: Axis, column: str, unit: str | None = None) -> None:
    """Write label and unit of a column at an axis."""
    words, math = label_of(column, unit)
    axis.set_label_text(words)
    axis.label.set_parse_math(math)
