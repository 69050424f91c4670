"""Gaussian processes for vector fields on manifolds that are known only from points.

Source: Peach et al., "Implicit Gaussian process representation of vector fields over arbitrary latent manifolds",
ICLR 2024 (arXiv 2309.16746).
"""
