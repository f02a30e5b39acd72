"""Tracked machine-learning experiments on neutral-hydrogen (HI) line profiles of galaxies."""

from importlib.metadata import version

__version__ = version("hiexp")
