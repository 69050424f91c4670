"""Arrays of real numbers from MATLAB's files of version 5 to 7, read in safe Python: scipy's reader can crash.

The format is MATLAB's "Level 5 MAT-file": 128 bytes of header, then one element per variable, each a tag (type and
number of bytes) and its content, compressed or not. Structures, cells, text, sparse and complex arrays are passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.dynamics.measures import Array

HEADER = 128  # bytes
HEAD = 1 << 12  # bytes in which class, shape and name of a variable lie
COMPRESSED, MATRIX = 15, 14  # types of elements
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC_CLASSES = range(6, 16)  # double, single and the integers
COMPLEX = 1 << 11  # in the flags of an array


@dataclass(frozen=True)
class Variable:
    """Where an array lies.

    Attributes:
        shape: of the array.
        content: the element as it is in the file.
        compressed: whether it is compressed.
    """

    shape: tuple[int, ...]
    content: memoryview
    compressed: bool


def is_hdf5(path: Path) -> bool:
    """Tell whether a `.mat` file is one of version 7.3, which is HDF5."""
    with path.open("rb") as file:
        start = file.read(HEADER)
    return start[124:126] in (b"\x00\x02", b"\x02\x00") or start.startswith(b"\x89HDF")


def list_variables(path: Path) -> tuple[dict[str, Variable], str]:
    """Return the arrays of real numbers by name, and the byte order, "<" or ">".

    Raises:
        ValueError: the file is damaged or no MATLAB file of version 5 to 7.
    """
    content = memoryview(path.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:HEADER]))
    if order is None:
        raise ValueError("it is no MATLAB file of version 5 to 7")
    variables = {}
    for kind, element in _elements(content[HEADER:], order, padded=False):
        compressed = kind == COMPRESSED
        if compressed:
            head = memoryview(zlib.decompressobj().decompress(element, HEAD))
            kind, element_head = next(_elements(head, order, truncated=True), (0, head))
        else:
            element_head = element[:HEAD]
        if kind != MATRIX:
            continue
        flags, shape, name = _describe(element_head, order)
        if flags & 0xFF in NUMERIC_CLASSES and not flags & COMPLEX:
            variables[name] = Variable(shape, element, compressed)
    return variables, order


def read_variable(variable: Variable, order: str) -> Array:
    """Return the array.

    Raises:
        ValueError: it is damaged.
    """
    size = int(np.prod(variable.shape, dtype=object))
    element = variable.content
    if variable.compressed:
        unpacked = zlib.decompressobj().decompress(element, 8 * size + 2 * HEAD)  # no more than there should be
        _, element = next(_elements(memoryview(unpacked), order), (0, memoryview(b"")))
    parts = list(_elements(element, order))
    if len(parts) < 4 or parts[3][0] not in TYPES:
        raise ValueError("an array in it is damaged")
    kind, content = parts[3]
    numbers = np.frombuffer(content, dtype=order + TYPES[kind])
    if len(numbers) != size:
        raise ValueError(f"an array in it has {len(numbers)} entries for the shape {variable.shape}")
    return numbers.reshape(variable.shape, order="F").astype(np.float64)


def _describe(matrix: memoryview, order: str) -> tuple[int, tuple[int, ...], str]:
    parts = _elements(matrix, order, truncated=True)
    contents = [bytes(content) for _, (_, content) in zip(range(3), parts, strict=False)]
    if len(contents) < 3 or len(contents[0]) != 8 or len(contents[1]) % 4:
        raise ValueError("an array in it has no description")
    shape = tuple(np.frombuffer(contents[1], dtype=order + "i4").tolist())
    if not shape or min(shape) < 0:
        raise ValueError(f"an array in it has the shape {shape}")
    return int(np.frombuffer(contents[0], dtype=order + "u4")[0]), shape, contents[2].decode("latin-1")


def _elements(
    content: memoryview, order: str, padded: bool = True, truncated: bool = False
) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position + 8 <= len(content):
        first, second = np.frombuffer(content[position : position + 8], dtype=order + "u4").tolist()
        small = first >> 16
        kind, length, start = (first & 0xFFFF, small, position + 4) if small else (first, second, position + 8)
        if (small > 4 or start + length > len(content)) and not truncated:
            raise ValueError(f"it breaks off: an element of {length} bytes starts at byte {start} of {len(content)}")
        yield kind, content[start : start + length]
        end = position + 8 if small else start + length
        position = end + (-end % 8 if padded and not small else 0)
