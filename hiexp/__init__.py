"""Tracked machine-learning experiments on neutral-hydrogen (HI) line profiles of galaxies."""

from importlib.metadata import version

from hiexp.containers import provide_folders

__version__ = version("hiexp")

provide_folders()  # before numba is imported, by whatever is imported first
