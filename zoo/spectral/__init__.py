"""Numerics that several methods share: graph Laplacians and the transform that attaches their spectra to graphs."""
