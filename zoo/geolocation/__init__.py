"""Geolocation maps: recall versus area, and learned ensembles of score maps on the sphere (arXiv 2407.13862)."""
