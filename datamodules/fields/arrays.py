"""The type of numpy's arrays of numbers."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
