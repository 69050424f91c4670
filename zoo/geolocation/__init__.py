"""Geolocation maps: recall versus area, and learned ensembles of score maps on the sphere (arXiv 2407.13862)."""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "coverage_vs_area": ["CoverageVsArea"],
        "great_circle": ["GreatCircleAccuracy"],
        "module": ["GeoEnsemble"],
        "recall_vs_area": ["RecallVsArea", "recall_vs_area"],
    },
)
