"""Spectra channel by channel: axes, noise, edges and widths. What readers and fits both build on."""
