"""Public methods, and results read from the files of other programs."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks.flow import peers
from benchmarks.flow.names import result_names
from benchmarks.flow.peers import folder_method, peer_method, read_grey
from benchmarks.flow.table import METHODS
from benchmarks.metrics import score, summarise
from patchbatch.data.datasets.pairs import FlowPair, find_pairs, load_truth
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import write_flow
from patchbatch.errors import PatchBatchError

PEERS = tuple(name for name, method in METHODS.items() if not method.models)


def pair_of(dataset: str, name: str, image: Path = Path("root/final/scene/frame.png")) -> FlowPair:
    return FlowPair(dataset, name, image, image, image)


def moved_frames(folder: Path) -> FlowPair:
    """Write a smooth texture and the same moved by (3, -2) px."""
    noise = np.random.default_rng(0).random((120, 160)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    moved = np.roll(texture, (-2, 3), axis=(0, 1))
    for name, image in (("1.png", texture), ("2.png", moved)):
        assert cv2.imwrite(str(folder / name), image.astype(np.uint8))
    return FlowPair("chairs", "1", folder / "1.png", folder / "2.png", folder / "none.flo")


@pytest.mark.parametrize("name", [name for name in PEERS if name != "zero"])
def test_a_known_shift_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clock = iter([5.0, 7.5])
    monkeypatch.setattr(peers, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    result = peer_method(name).run(moved_frames(tmp_path))["final"]
    assert result.valid.all()
    inner = result.flow[30:-30, 30:-30].reshape(-1, 2)
    assert np.abs(np.median(inner, axis=0) - (3, -2)).max() < 0.2
    assert result.seconds == {"total": 2.5}


def test_zero_is_zero(tmp_path: Path) -> None:
    result = peer_method("zero").run(moved_frames(tmp_path))["final"]
    assert result.flow.shape == (120, 160, 2)
    assert not result.flow.any()


def test_grey_of_any_image(tmp_path: Path) -> None:
    bgr = np.random.default_rng(1).integers(0, 256, (5, 6, 3), np.uint8)
    for name, image in (("8.png", bgr), ("16.png", bgr.astype(np.uint16) * 257), ("grey.png", bgr[..., 0])):
        assert cv2.imwrite(str(tmp_path / name), image)
    expected = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    assert (read_grey(tmp_path / "8.png") == expected).all()
    assert (read_grey(tmp_path / "16.png") == expected).all()
    assert (read_grey(tmp_path / "grey.png") == bgr[..., 0]).all()


@pytest.mark.parametrize(
    ("pair", "names"),
    [
        (pair_of("kitti2012", "000045"), ["flow/000045_10", "000045_10", "000045"]),
        (
            pair_of("sintel-final", "alley_1/frame_0002"),
            [
                "final/alley_1/frame0002",
                "final/alley_1/frame_0002",
                "alley_1/frame0002",
                "alley_1/frame_0002",
            ],
        ),
        (pair_of("middlebury", "Urban3"), ["Urban3/flow10", "Urban3"]),
        (pair_of("chairs", "00001"), ["00001_flow", "00001"]),
    ],
)
@pytest.mark.parametrize("suffix", [".flo", ".png"])
def test_results_are_found_under_every_name(
    tmp_path: Path, pair: FlowPair, names: list[str], suffix: str
) -> None:
    assert list(result_names(pair)) == names
    flow = np.full((3, 4, 2), (1.5, -2), np.float32)
    valid = np.arange(12).reshape(3, 4) > 1
    for name in names:
        path = tmp_path / name.replace("/", "-") / f"{name}{suffix}"
        path.parent.mkdir(parents=True)
        write_flow(path, flow, valid)
        result = folder_method("other", tmp_path / name.replace("/", "-")).run(pair)["final"]
        assert (result.valid == valid).all()
        assert (result.flow[valid] == (1.5, -2)).all()
        assert result.seconds == {"total": None}


def test_a_missing_result_says_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(PatchBatchError, match=r"tried 00001_flow, 00001 with \.flo, \.png"):
        peer_method(f"other={tmp_path}").run(pair_of("chairs", "00001"))


@pytest.mark.parametrize("spec", ["raft", "other=nowhere", "="])
def test_unknown_methods_are_refused(spec: str) -> None:
    with pytest.raises(PatchBatchError, match=r"NAME=FOLDER"):
        peer_method(spec)


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    pair = moved_frames(tmp_path)
    assert cv2.imwrite(str(pair.image2), np.zeros((8, 8), np.uint8))
    with pytest.raises(PatchBatchError, match="differ in size"):
        peer_method("zero").run(pair)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(
    ("dataset", "pair_name"),
    [
        ("kitti2015", "000002"),
        ("kitti2012", "000045"),
        ("sintel-final", "alley_1/frame_0002"),
        ("chairs", "90003"),
    ],
)
def test_the_known_figures_come_out_again(real_data: Path, name: str, dataset: str, pair_name: str) -> None:
    pair = next(p for p in find_pairs(dataset, real_data / "flow") if p.name == pair_name)
    result = peer_method(name).run(pair)["final"]
    figures = summarise([score(DATASETS[dataset].judged_as, load_truth(pair), result.flow, result.valid)])
    anchors = json.loads((real_data / "flow/anchors.json").read_text())["pairs"]
    label = dataset.replace("-", "_")
    anchor = next(entry for entry in anchors if (entry["dataset"], entry["id"]) == (label, pair_name))
    known = anchor["methods"][name.replace("-", "_")]
    found = {"epe": figures["EPE"], "fl": figures["Fl-all"], "out3": figures["Out-All"]}
    assert found == pytest.approx({key: known[key] for key in found}, abs=1e-4)
