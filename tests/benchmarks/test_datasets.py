"""The pairs that a benchmark runs on, and their frames."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import find_jobs, load_frames
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image
from patchbatch.errors import PatchBatchError

SIZE = (6, 8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make one scene of Sintel in both renderings, three of Middlebury and a stereo pair."""
    frame = np.full((*SIZE, 3), 0.5, np.float32)
    for rendering in ("clean", "final"):
        folder = tmp_path / "sintel" / "training" / rendering / "made"
        folder.mkdir(parents=True)
        for number in (1, 2):
            write_image(folder / f"frame_000{number}.png", frame)
    truths = [tmp_path / "sintel/training/flow/made/frame_0001.flo"]
    for scene in "ABC":
        folder = tmp_path / "middlebury" / "other-data" / scene
        folder.mkdir(parents=True)
        for name in ("frame10", "frame11"):
            write_image(folder / f"{name}.png", frame)
        truths.append(tmp_path / "middlebury" / "other-gt-flow" / scene / "flow10.flo")
    for file in truths:
        file.parent.mkdir(parents=True)
        write_flow(file, np.zeros((*SIZE, 2), np.float32))
    stereo = tmp_path / "middlebury_stereo" / "cones"
    stereo.mkdir(parents=True)
    for name in ("im2", "im6", "disp2"):
        write_image(stereo / f"{name}.png", np.full(SIZE, 0.5, np.float32))
    return tmp_path


def names(pairs) -> list[tuple[str, str]]:
    return [(pair.dataset, pair.name) for pair in pairs]


def test_all_that_is_there_but_stereo(root: Path) -> None:
    sintel = [("sintel-final", "made/frame_0001"), ("sintel-clean", "made/frame_0001")]
    assert names(find_jobs(root)) == [*sintel, *(("middlebury", scene) for scene in "ABC")]
    assert names(find_jobs(root, limit=1)) == [*sintel, ("middlebury", "A")]
    assert names(find_jobs(root, ["middlebury_stereo"])) == [("middlebury_stereo", "cones")]


def test_what_is_asked_for_comes_once_and_in_that_order(root: Path) -> None:
    asked = ["middlebury", "sintel-clean", "middlebury"]
    expected = [("middlebury", "A"), ("middlebury", "B"), ("sintel-clean", "made/frame_0001")]
    assert names(find_jobs(root, asked, limit=2)) == expected
    assert names(find_jobs(root, names=["C", "A"])) == [("middlebury", "A"), ("middlebury", "C")]


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PatchBatchError, match=f"no {name} pairs in .*: expected "):
        find_jobs(tmp_path, [name])


def test_mistakes_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(PatchBatchError, match="unknown pair 'D'; there are made/frame_0001, A, B, C"):
        find_jobs(root, names=["D"])
    with pytest.raises(PatchBatchError, match="unknown data set 'midlebury'; did you mean 'middlebury'"):
        find_jobs(root, ["midlebury"])
    with pytest.raises(PatchBatchError, match="no folder nowhere"):
        find_jobs("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PatchBatchError, match="expected the folders of kitti2015"):
        find_jobs(tmp_path / "empty")


def test_frames_keep_their_colour_and_are_grey_when_asked(root: Path) -> None:
    (pair,) = find_jobs(root, ["middlebury"], limit=1)
    frames = load_frames(pair)
    assert frames.image1.shape == (*SIZE, 3) and frames.truth.valid.shape == SIZE
    assert [image.shape for image in frames.grey()] == [SIZE, SIZE]


@pytest.mark.parametrize("what", ["image1", "image2", "flow"])
def test_sizes_have_to_be_equal(root: Path, what: str) -> None:
    (pair,) = find_jobs(root, ["middlebury"], limit=1)
    if what == "flow":
        write_flow(pair.flow, np.zeros((5, 8, 2), np.float32))
    else:
        write_image(getattr(pair, what), np.zeros((5, 8, 3), np.float32))
    with pytest.raises(PatchBatchError, match=r"frame10.png, .*frame11.png and .*flow10.flo differ in size"):
        load_frames(pair)
