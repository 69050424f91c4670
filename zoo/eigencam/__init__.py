"""Eigen-CAM: class-agnostic maps of what any CNN looks at (Muhammad and Yeasin, IJCNN 2020, arXiv 2008.00299)."""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "cam": ["EigenMaps", "eigen_cam"],
        "module": ["EigenCAM"],
    },
)
