"""Pairs are found in complete and partial trees, and their truth is read."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from patchbatch.data.datasets.pairs import find_all_pairs, find_pairs, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.errors import PatchBatchError

SIZE = (4, 6)


def write_kitti_flow(path: Path, u: float, v: float, valid: np.ndarray) -> None:
    """Write by hand, so that the reader is not judged by its own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.empty((*SIZE, 3), np.uint16)
    stored[..., 2], stored[..., 1], stored[..., 0] = 32768 + 64 * u, 32768 + 64 * v, valid
    assert cv2.imwrite(str(path), stored)


def write_flo(path: Path, u: float, v: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = SIZE
    field = np.full((*SIZE, 2), (u, v), "<f4")
    path.write_bytes(b"PIEH" + np.array([width, height], "<i4").tobytes() + field.tobytes())


def write_image(path: Path, value: int | np.ndarray = 7, dtype: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.broadcast_to(value, SIZE).astype(dtype))


def make_kitti(training: Path, images: str, numbers: tuple[str, ...]) -> None:
    everywhere = np.ones(SIZE)
    for number in numbers:
        write_image(training / images / f"{number}_10.png")
        write_image(training / images / f"{number}_11.png")
        write_kitti_flow(training / "flow_occ" / f"{number}_10.png", 2, -1, everywhere)


def make_sintel(base: Path, *renderings: str) -> None:
    for rendering in renderings:
        write_image(base / "training" / rendering / "alley_1/frame_0009.png")
        write_image(base / "training" / rendering / "alley_1/frame_0010.png")
    write_flo(base / "training/flow/alley_1/frame_0009.flo", 1.5, -2)


@pytest.mark.parametrize("images", ["image_0", "colored_0"])
def test_kitti2012(tmp_path: Path, images: str) -> None:
    make_kitti(tmp_path / "training", images, ("000007", "000001"))
    pairs = find_pairs("kitti2012", tmp_path)
    assert [pair.name for pair in pairs] == ["000001", "000007"]
    assert pairs[0].image2 == tmp_path / "training" / images / "000001_11.png"
    assert pairs[0].noc is None


def test_masks_of_kitti2015(tmp_path: Path) -> None:
    training = tmp_path / "training"
    make_kitti(training, "image_2", ("000001",))
    inside = np.zeros(SIZE)
    inside[:, :3] = 1
    write_kitti_flow(training / "flow_noc/000001_10.png", 2, -1, inside)
    objects = np.zeros(SIZE)
    objects[0] = 2
    write_image(training / "obj_map/000001_10.png", objects)
    (pair,) = find_pairs("kitti2015", tmp_path)
    truth = load_truth(pair)
    assert truth.flow.shape == (*SIZE, 2)
    assert (truth.flow == (2, -1)).all()
    assert truth.valid.all()
    assert truth.noc is not None
    assert (truth.noc == (inside > 0)).all()
    assert truth.visible is truth.noc
    assert truth.foreground is not None
    assert (truth.foreground == (objects > 0)).all()
    assert truth.occluded is None
    assert truth.invalid is None


def test_a_kitti2012_tree_is_no_kitti2015(tmp_path: Path) -> None:
    make_kitti(tmp_path / "training", "image_0", ("000001",))
    with pytest.raises(PatchBatchError, match=r"no kitti2015 pairs in .*training/image_2"):
        find_pairs("kitti2015", tmp_path)


@pytest.mark.parametrize("folder", ["kitti2015", "data_scene_flow", "my copy"])
def test_the_root_may_hold_the_data_set(tmp_path: Path, folder: str) -> None:
    make_kitti(tmp_path / folder / "training", "image_2", ("000001",))
    assert len(find_pairs("kitti2015", tmp_path)) == 1
    assert len(find_pairs("kitti2015", tmp_path / folder)) == 1
    assert len(find_pairs("kitti2015", str(tmp_path / folder / "training"))) == 1


def test_the_usual_folder_comes_before_others(tmp_path: Path) -> None:
    make_kitti(tmp_path / "a" / "training", "image_2", ("000001",))
    make_kitti(tmp_path / "kitti2015" / "training", "image_2", ("000002",))
    assert [pair.name for pair in find_pairs("kitti2015", tmp_path)] == ["000002"]


@pytest.mark.parametrize(
    "missing", ["image_2/000001_10.png", "image_2/000001_11.png", "flow_occ/000001_10.png"]
)
def test_a_pair_that_lacks_a_file_is_left_out(tmp_path: Path, missing: str) -> None:
    make_kitti(tmp_path / "training", "image_2", ("000001", "000002"))
    (tmp_path / "training" / missing).unlink()
    assert [pair.name for pair in find_pairs("kitti2015", tmp_path)] == ["000002"]


def test_sintel_counts_frames_and_reads_masks(tmp_path: Path) -> None:
    make_sintel(tmp_path, "clean", "final")
    hidden = np.zeros(SIZE)
    hidden[1, 2] = 1  # the readme has 1 in one place and 255 in another
    write_image(tmp_path / "training/occlusions/alley_1/frame_0009.png", hidden)
    write_image(tmp_path / "training/invalid/alley_1/frame_0009.png", 255 * hidden)
    (pair,) = find_pairs("sintel-clean", tmp_path)
    assert pair.name == "alley_1/frame_0009"
    assert pair.image2 == tmp_path / "training/clean/alley_1/frame_0010.png"
    truth = load_truth(pair)
    assert (truth.flow == (1.5, -2)).all()
    assert truth.occluded is not None
    assert (truth.occluded == (hidden > 0)).all()
    assert truth.invalid is not None
    assert (truth.invalid == (hidden > 0)).all()
    assert truth.visible is not None
    assert (truth.visible == (hidden == 0)).all()


def test_sintel_with_one_pass_only(tmp_path: Path) -> None:
    make_sintel(tmp_path, "final")
    assert find_pairs("sintel-final", tmp_path)[0].occlusion is None
    with pytest.raises(PatchBatchError, match="training/clean/SCENE"):
        find_pairs("sintel-clean", tmp_path)


def test_sintel_ignores_files_with_other_names(tmp_path: Path) -> None:
    make_sintel(tmp_path, "final")
    write_flo(tmp_path / "training/flow/alley_1/frame_mean.flo", 0, 0)
    assert len(find_pairs("sintel-final", tmp_path)) == 1


def test_middlebury(tmp_path: Path) -> None:
    for name in ("frame10.png", "frame11.png"):
        write_image(tmp_path / "other-data/Venus" / name)
    write_flo(tmp_path / "other-gt-flow/Venus/flow10.flo", 1e10, 1e10)
    (pair,) = find_pairs("middlebury", tmp_path)
    assert pair.name == "Venus"
    assert not load_truth(pair).valid.any()
    assert load_truth(pair).visible is None


@pytest.mark.parametrize("folder", ["data", "."])
def test_chairs(tmp_path: Path, folder: str) -> None:
    for number in ("00002", "00001"):
        for frame in ("img1", "img2"):
            path = tmp_path / folder / f"{number}_{frame}.ppm"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"P6 1 1 255\n\0\0\0")
        write_flo(tmp_path / folder / f"{number}_flow.flo", 0, 0)
    assert [pair.name for pair in find_pairs("chairs", tmp_path)] == ["00001", "00002"]


@pytest.mark.parametrize(("left", "right"), [("image_0", "image_1"), ("colored_0", "colored_1")])
@pytest.mark.parametrize("training", ["training", "."])
def test_a_kitti_disparity_is_a_flow_to_the_left(
    tmp_path: Path, left: str, right: str, training: str
) -> None:
    base = tmp_path / training
    write_image(base / left / "000003_10.png")
    write_image(base / right / "000003_10.png")
    disparity = np.zeros(SIZE)
    disparity[:, 1:] = 2.5 * 256
    write_image(base / "disp_occ/000003_10.png", disparity, np.uint16)
    near = np.where(np.arange(SIZE[1]) > 2, disparity, 0)
    write_image(base / "disp_noc/000003_10.png", near, np.uint16)
    (pair,) = find_pairs("kitti2012_stereo", tmp_path)
    assert pair.image2 == base / right / "000003_10.png"
    truth = load_truth(pair)
    assert (truth.flow[:, 1:] == (-2.5, 0)).all()
    assert not truth.valid[:, 0].any()
    assert truth.valid[:, 1:].all()
    assert truth.noc is not None
    assert (truth.noc == (near > 0)).all()


def test_a_middlebury_disparity_is_stored_times_four(tmp_path: Path) -> None:
    for name in ("im2.png", "im6.png"):
        write_image(tmp_path / "cones" / name)
    disparity = np.full(SIZE, 50)
    disparity[0] = 0
    write_image(tmp_path / "cones/disp2.png", disparity)
    (pair,) = find_pairs("middlebury_stereo", tmp_path)
    truth = load_truth(pair)
    assert (truth.flow[1:] == (-12.5, 0)).all()
    assert not truth.valid[0].any()
    assert not np.signbit(truth.flow[0]).any()


def test_all_pairs_of_a_mixed_folder(tmp_path: Path) -> None:
    make_kitti(tmp_path / "kitti2015/training", "image_2", ("000001",))
    make_sintel(tmp_path / "sintel", "final")
    (tmp_path / "frames").mkdir()
    found = [(pair.dataset, pair.name) for pair in find_all_pairs(tmp_path)]
    assert found == [("kitti2015", "000001"), ("sintel-final", "alley_1/frame_0009")]


def test_a_scene_rendered_twice_counts_once_among_all(tmp_path: Path) -> None:
    make_sintel(tmp_path / "both" / "sintel", "clean", "final")
    make_sintel(tmp_path / "clean alone" / "sintel", "clean")
    for folder, dataset in (("both", "sintel-final"), ("clean alone", "sintel-clean")):
        assert [pair.dataset for pair in find_all_pairs(tmp_path / folder)] == [dataset]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    make_sintel(tmp_path, "final")
    mask = tmp_path / "training/invalid/alley_1/frame_0009.png"
    mask.parent.mkdir(parents=True)
    assert cv2.imwrite(str(mask), np.zeros((3, 3), np.uint8))
    with pytest.raises(PatchBatchError, match=r"frame_0009\.png is 3x3 but the true flow 4x6"):
        load_truth(find_pairs("sintel-final", tmp_path)[0])


def make_all(root: Path) -> None:
    """Make a tree of one pair of every data set, each in its usual folder."""
    for dataset, images in (("kitti2015", "image_2"), ("kitti2012", "image_0")):
        make_kitti(root / dataset / "training", images, ("000001",))
        for second in ("10", "11"):
            write_image(root / dataset / "testing" / images / f"000001_{second}.png")
    make_sintel(root / "sintel", "clean", "final")
    for rendering in ("clean", "final"):
        for number in ("0001", "0002", "0003"):
            write_image(root / "sintel/test" / rendering / f"market_1/frame_{number}.png")
    for frame in ("frame10.png", "frame11.png"):
        write_image(root / "middlebury/other-data/Venus" / frame)
    write_flo(root / "middlebury/other-gt-flow/Venus/flow10.flo", 1, 1)
    write_flo(root / "chairs/data/00001_flow.flo", 1, 1)
    for frame in ("img1", "img2"):
        (root / f"chairs/data/00001_{frame}.ppm").write_bytes(b"P6 1 1 255\n\0\0\0")
    for image in ("image_0", "image_1"):
        write_image(root / f"kitti2012/training/{image}/000001_10.png")
    write_image(root / "kitti2012/training/disp_occ/000001_10.png", 256, np.uint16)
    for name in ("im2.png", "im6.png", "disp2.png"):
        write_image(root / "middlebury_stereo/cones" / name)


def listed(root: Path) -> dict[str, list[str]]:
    """Return the names of the pairs of every data set, and of the testing pairs of those that have some."""
    found = {name: [pair.name for pair in find_pairs(name, root)] for name in DATASETS}
    tested = {name for name, dataset in DATASETS.items() if dataset.testing}
    return found | {
        f"{name} testing": [p.name for p in find_pairs(name, root, testing=True)] for name in tested
    }


def test_dot_files_are_never_frames(tmp_path: Path) -> None:
    make_all(tmp_path)
    before = listed(tmp_path)
    assert set(before) > set(DATASETS)
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():  # macOS writes one beside every file, whose content is no image
            path.with_name(f"._{path.name}").write_bytes(path.read_bytes())
    for folder in ("flow", "final", "clean"):
        source = tmp_path / "sintel/training" / folder / "alley_1"
        shutil.copytree(source, source.with_name(".AppleDouble"))
    shutil.copytree(tmp_path / "kitti2015", tmp_path / ".Trash")
    assert listed(tmp_path) == before


def test_a_tree_below_a_folder_with_a_dot_is_found(tmp_path: Path) -> None:
    make_kitti(tmp_path / ".cache" / "kitti2015" / "training", "image_2", ("000001",))
    assert len(find_pairs("kitti2015", tmp_path / ".cache")) == 1


def test_testing_pairs_have_no_truth(tmp_path: Path) -> None:
    make_all(tmp_path)
    found = listed(tmp_path)
    assert found["kitti2012 testing"] == found["kitti2015 testing"] == ["000001"]
    assert found["sintel-clean testing"] == ["market_1/frame_0001", "market_1/frame_0002"]
    (pair,) = find_pairs("kitti2012", tmp_path, testing=True)
    assert pair.flow is None
    assert pair.image2 == tmp_path / "kitti2012/testing/image_0/000001_11.png"
    with pytest.raises(PatchBatchError, match="kitti2012 000001 has no published truth"):
        load_truth(pair)


@pytest.mark.parametrize("folder", ["kitti2015", "kitti2015/testing"])
def test_training_frames_are_never_testing_pairs(tmp_path: Path, folder: str) -> None:
    make_all(tmp_path)
    assert len(find_pairs("kitti2015", tmp_path / folder, testing=True)) == 1
    shutil.rmtree(tmp_path / "kitti2015/testing")
    with pytest.raises(PatchBatchError, match=r"no kitti2015 testing pairs in .*testing/image_2"):
        find_pairs("kitti2015", tmp_path / "kitti2015", testing=True)
    with pytest.raises(PatchBatchError, match="chairs has no testing pairs"):
        find_pairs("chairs", tmp_path / "chairs", testing=True)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(PatchBatchError, match="unknown data set 'kitti'; did you mean 'kitti201"):
        find_pairs("kitti", tmp_path)
    with pytest.raises(PatchBatchError, match="unknown data set 'sintel'; did you mean 'sintel-"):
        find_pairs("sintel", tmp_path)
    with pytest.raises(PatchBatchError, match=r"no folder .*nowhere"):
        find_pairs("sintel-final", tmp_path / "nowhere")
    with pytest.raises(PatchBatchError, match="no pairs in "):
        find_all_pairs(tmp_path)


def test_the_real_trees_are_found_whole(real_data: Path) -> None:
    names = [(pair.dataset, pair.name) for pair in find_all_pairs(real_data / "flow")]
    assert len(names) == 6 + 1 + 2 + 2 + 2
    assert len(find_all_pairs(real_data / "flow_training")) == 3 + 2 + 2 + 1 + 2
    assert ("kitti2015", "000009") in names
