"""Videos: what is read is what was written, and what cannot be read is told."""

import os
from pathlib import Path

import numpy as np
import pytest
from made_sequences import moving

pytest.importorskip("av")

from flow.cli import main
from flow.sequences.films import color_film, common_radius
from flow.sequences.video import Video, film
from flow.visualize import flow_to_color
from patchbatch.data import write_flow
from patchbatch.errors import PatchBatchError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Write ten frames of an odd size, 25 a second."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    with film(path, 25.0) as show:
        for pixels in moving(10, height=47, width=65):
            show(pixels)
    return path


def frames_of(path):
    pairs = list(Video(path).pairs())
    return [pair.first.pixels for pair in pairs] + [pairs[-1].second.pixels]


def test_frames_come_back_in_their_order(video):
    found = frames_of(video)
    drawn = moving(10, height=47, width=65)
    assert len(found) == 10 and found[0].shape == (48, 66, 3)
    off = [[np.abs(a[:47, :65].astype(int) - b).mean() for b in drawn] for a in found]
    assert [int(np.argmin(row)) for row in off] == list(range(10))
    assert all(off[number][number] < 12 for number in range(10))


@pytest.mark.slow
def test_a_video_says_how_long_it_is_and_how_fast(video):
    whole, third = Video(video), Video(video, 3)
    assert (whole.count, whole.fps) == (9, 25.0)
    assert third.count == 3 and third.fps == pytest.approx(25 / 3)
    assert [pair.name for pair in third.pairs()] == ["000000", "000003", "000006"]


def test_the_same_frames_are_the_same_bytes(video, tmp_path):
    with film(tmp_path / "again.mp4", 25.0) as show:
        for pixels in moving(10, height=47, width=65):
            show(pixels)
    assert (tmp_path / "again.mp4").read_bytes() == video.read_bytes()


def test_a_film_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), film(tmp_path / "a.mp4", 25.0) as show:
        show(moving(1)[0])
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_flow_of_a_video(video, tmp_path, monkeypatch, quick, films):
    monkeypatch.chdir(tmp_path)
    assert main([str(video), "-o", "out", "-q"]) == 0
    assert sorted(path.name for path in Path("out/flow").iterdir()) == [f"{n:06d}.flo" for n in range(9)]
    assert len(frames_of("out/flow.mp4")) == 9
    os.utime(video, ns=(1, 1))
    assert main([str(video), "-o", "out", "-q"]) == 1  # the video is another one now


@pytest.mark.slow
def test_a_video_that_breaks_off_gives_what_comes_before(video, tmp_path, monkeypatch, quick, films, capsys):
    monkeypatch.chdir(tmp_path)
    whole = Video._decoded

    def broken(self):
        for number, pixels in enumerate(whole(self)):
            if number == 6:
                raise PatchBatchError(f"{self.path} cannot be decoded from frame 6 on (cut)")
            yield pixels

    monkeypatch.setattr(Video, "_decoded", broken)
    assert main([str(video), "-o", "out"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert any("cannot be decoded from frame 6 on" in line for line in told)
    assert len(list(Path("out/flow").iterdir())) == 5


def test_damaged_bytes_are_told_in_one_line(video, tmp_path):
    data = bytearray(video.read_bytes())
    start = data.find(b"mdat")
    size = int.from_bytes(data[start - 4 : start], "big")
    half = slice(start + size // 2, start + size - 8)
    data[half] = b"\xff" * len(data[half])
    (tmp_path / "damaged.mp4").write_bytes(data)
    with pytest.raises(PatchBatchError, match=r"damaged.mp4 cannot be decoded from frame \d+ on") as caught:
        frames_of(tmp_path / "damaged.mp4")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "is empty"), (b"no video", "is no video that can be read")],
    ids=["empty", "text"],
)
def test_what_is_no_video_is_refused(tmp_path, data, says):
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(PatchBatchError, match=says):
        Video(path)


def flows(folder, *lengths):
    paths = [folder / f"{number}.flo" for number in range(len(lengths))]
    for path, length in zip(paths, lengths, strict=True):
        write_flow(path, np.full((48, 64, 2), [length, 0], np.float32))
    return paths


@pytest.mark.slow
def test_one_scale_for_all_frames(tmp_path):
    files = flows(tmp_path, 1, 8, 4)
    assert common_radius(files) == 8
    assert common_radius(files[:1]) == 1
    assert common_radius(flows(tmp_path, 0.25)) == 1  # what hardly moves stays pale
    files = flows(tmp_path, 1, 8, 4)
    assert color_film(tmp_path / "a.mp4", files, 25.0, None) == 8
    for shown, length in zip(frames_of(tmp_path / "a.mp4"), (1, 8, 4), strict=True):
        expected = flow_to_color(np.full((48, 64, 2), [length, 0], np.float32), max_radius=8)
        assert np.abs(shown.astype(int) - expected).max() < 12


@pytest.mark.slow
def test_a_pair_without_result_is_black(tmp_path):
    first, last = flows(tmp_path, 4, 4)
    assert color_film(tmp_path / "a.mp4", [first, None, last], 25.0, 5.0) == 5
    shown = frames_of(tmp_path / "a.mp4")
    assert shown[1].max() < 8 < shown[0].max()


def test_flows_of_several_sizes_make_no_video(tmp_path):
    files = flows(tmp_path, 4, 4)
    write_flow(files[1], np.zeros((40, 64, 2), np.float32))
    with pytest.raises(PatchBatchError, match=r"no a.mp4: 1.flo is 64x40, the first flow 64x48"):
        color_film(tmp_path / "a.mp4", files, 25.0, None)
    assert not (tmp_path / "a.mp4").exists()
