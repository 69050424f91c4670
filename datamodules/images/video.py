"""The frames of a video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")


def read_frames(path: str | Path, every: int = 1) -> Iterator[Image.Image]:
    """Read every n-th frame of a video as RGB, one at a time.

    Args:
        path: a file in one of the formats above.
        every: n, > 0; the first frame is always read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no video that can be read, or `every` is not positive.
    """
    import cv2

    if every < 1:
        raise ValueError(f"every={every} is not allowed; give an integer >= 1")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    capture = cv2.VideoCapture(str(path))
    try:
        number = 0
        while capture.grab():
            if number % every == 0:
                found, frame = capture.retrieve()
                if found:
                    yield Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            number += 1
        if number == 0:
            raise ValueError(f"{path} cannot be read as a video")
    finally:
        capture.release()
