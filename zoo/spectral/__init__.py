"""Numerics that methods share: graph Laplacians, second moments of any amount of data, harmonics of the sphere."""
