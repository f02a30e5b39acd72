"""What SoFiA 2 writes (Westmeier et al. 2021, MNRAS 506, 3962): a catalogue of sources, and the spectrum of each."""

from hiexp.datasets.sofia.reader import read_sofia

__all__ = ["read_sofia"]
