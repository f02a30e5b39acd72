"""Spectra as files hold them: each layout gives a `RawSpectrum`, which `physical` brings to km/s and mJy."""
