"""Numerics that several methods share: graph Laplacians, their spectra, and the transform that attaches them to graphs."""
