"""Numerics that several methods share: graph Laplacians and their spectra, second moments of any amount of data."""
