import cv2
import numpy as np
import pytest

from datamodules.images.video import read_frames


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 24))
    for level in (0, 60, 120, 180, 240):
        writer.write(np.full((24, 32, 3), (level, level, 255 - level), np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("every", "levels"), [(1, [0, 60, 120, 180, 240]), (2, [0, 120, 240]), (9, [0])])
def test_every_nth_frame_in_rgb(video, every, levels):
    frames = list(read_frames(video, every))
    assert [frame.size for frame in frames] == [(32, 24)] * len(levels)
    for frame, level in zip(frames, levels, strict=True):
        red, green, blue = np.asarray(frame).mean((0, 1))
        assert abs(red - (255 - level)) < 6 and abs(green - level) < 6 and abs(blue - level) < 6


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        list(read_frames(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4 cannot be read as a video"):
        list(read_frames(tmp_path / "text.mp4"))
    with pytest.raises(ValueError, match="every=0"):
        list(read_frames(tmp_path / "text.mp4", 0))
