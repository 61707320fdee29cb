"""The page and its folder: what is written, quoted, left out and refused."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from made_reports import NAMES, ODD_METHOD, OFF, SIZE, made_pair, made_report, made_truth, near

from benchmarks.__main__ import main
from benchmarks.flow.methods import Method
from benchmarks.pages.folder import check_folder, key_of
from benchmarks.pages.gather import gather
from benchmarks.pages.layers import paint_flow, radius_of
from benchmarks.pages.page import write_page
from benchmarks.pages.recorder import Recorder, recorder_for
from patchbatch.data.datasets.pairs import Truth
from patchbatch.data.formats import write_flow
from patchbatch.data.images import read_image, write_image
from patchbatch.errors import PatchBatchError


@pytest.fixture
def made(tmp_path: Path):
    (tmp_path / "data").mkdir()
    return made_report(tmp_path / "report", tmp_path / "data")


def data_of(page: str):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_every_picture_of_the_page_is_there_and_nothing_is_fetched(made) -> None:
    recorder, report = made
    page = write_page(recorder, report).read_text(encoding="utf-8")
    links = [*re.findall(r'src="([^"]*)"', page)]
    assert len([link for link in links if link.endswith("-small.jpg")]) == 3 * len(NAMES)
    for link in links:
        assert link.startswith("data:") or (recorder.folder / unquote(link)).is_file(), link
    assert "http" not in page.replace("http-equiv", "")
    data = data_of(page)
    assert [pair["name"] for pair in data["pairs"]] == list(NAMES)
    for pair in data["pairs"]:
        folder = recorder.folder / unquote(pair["folder"])
        for file in pair["shared"].values():
            assert read_image(folder / file).shape[:2] == SIZE
        for key, layers in pair["methods"].items():
            assert all(read_image(folder / key / file).shape[:2] == SIZE for file in layers.values())
    assert set(data["pairs"][0]["shared"]) == {"frame1", "frame2", "truth", "hidden"}
    near_layers = {"flow", "error", "matches", "confidence", "occluded"}
    assert set(data["pairs"][0]["methods"]["near@net"]) == near_layers
    assert set(data["pairs"][0]["methods"][key_of(ODD_METHOD, None)]) == {"flow", "error"}


def test_names_are_quoted_and_paths_of_the_machine_left_out(made) -> None:
    page = write_page(*made).read_text(encoding="utf-8")
    assert "<i>" not in re.sub(r"<i style", "", page) and "<b>" not in page.replace('<b id="radius">', "")
    assert "still &#34;&lt;i&gt;" in page
    assert "/secret" not in page


def test_figures_of_the_list_are_those_of_the_report(made) -> None:
    series, pairs = gather(*made)
    assert [one.label for one in series] == ["near", ODD_METHOD]
    assert [pair.figures["near@net"]["EPE"] for pair in pairs] == pytest.approx(OFF)
    at_20 = 24 * 24 / (48 * 64)
    assert pairs[1].figures["near@net"] == {"EPE": 8, "Fl": 100}
    still = 6 + 14 * at_20
    assert pairs[1].figures[key_of(ODD_METHOD, None)]["EPE"] == pytest.approx(still)
    assert pairs[3].spread("EPE") == pytest.approx(still - 0.5)
    assert pairs[3].extremes == ("near@net", key_of(ODD_METHOD, None))
    assert pairs[1].extremes == ("near@net", key_of(ODD_METHOD, None))
    # A mean of pairs: two of four are at most 2 px off.
    assert series[0].sums.mean("within")[-1] == 1
    assert series[0].sums.errors("seen") == pytest.approx([np.mean(OFF)] * 2)


def test_results_without_record_or_of_another_run_keep_figures_and_lose_pictures(made) -> None:
    recorder, report = made
    (recorder.pair_folder(NAMES[0]) / "near@net" / "record.json").unlink()
    again = made_truth()
    pair = made_pair(recorder.folder.parent / "data", NAMES[1])
    recorder(pair, again, Method("near", "net", run=lambda _pair: {}), near(again, 5.0))
    series, pairs = gather(recorder, report)
    assert ["near@net" in one.layers for one in pairs] == [False, False, True, True]
    assert pairs[1].figures["near@net"]["EPE"] == 8
    assert series[0].sums.errors("seen") == pytest.approx([np.mean(OFF[2:])] * 2)
    page = write_page(recorder, report).read_text(encoding="utf-8")
    assert "2 results have no record here and are in no curve" in page
    assert data_of(page)["pairs"][0]["figures"]["near@net"]["EPE"] == 2


def test_a_damaged_record_is_named(made) -> None:
    recorder, report = made
    file = recorder.pair_folder(NAMES[2]) / "record.json"
    file.write_text("{")
    with pytest.raises(PatchBatchError, match=r"cave_2/frame_0010/record\.json is damaged"):
        write_page(recorder, report)


def test_a_pair_without_any_known_pixel_has_no_figures(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    recorder, report = made_report(tmp_path / "report", tmp_path / "data")
    blank = Truth(np.zeros((*SIZE, 2), np.float32), np.zeros(SIZE, bool))
    pair = made_pair(tmp_path / "data", "blank")
    recorder(pair, blank, Method("near", "net", run=lambda _pair: {}), near(blank, 1.0))
    report["per_pair"].append(
        {"pair": "blank", "method": "near", "model": "net", "stage": "final", "metrics": {}}
    )
    _, pairs = gather(recorder, report)
    assert (pairs[-1].figures["near@net"], "near@net" in pairs[-1].layers) == (
        {"EPE": None, "Fl": None},
        True,
    )
    assert 'data-epe=""' in write_page(recorder, report).read_text(encoding="utf-8")


def test_flows_of_a_pair_have_one_scale() -> None:
    truth = made_truth()
    radius = radius_of(truth)
    assert radius == 20
    fast, slow = (np.full((*SIZE, 2), (length, 0), np.float32) for length in (20, 6))
    everywhere = np.ones(SIZE, bool)
    assert (
        paint_flow(fast, everywhere, radius)[12:36, 16:40]
        == paint_flow(truth.flow, everywhere, radius)[12:36, 16:40]
    ).all()
    assert (
        paint_flow(slow, everywhere, radius)[0, 0] == paint_flow(truth.flow, everywhere, radius)[0, 0]
    ).all()
    dots = np.zeros(SIZE, bool)
    dots[10, 20] = True
    painted = paint_flow(fast, dots, radius).any(axis=-1)
    assert painted.sum() == 9 and painted[9:12, 19:22].all()
    assert radius_of(Truth(truth.flow, np.zeros(SIZE, bool))) == 1


def test_frames_of_sixteen_bits_and_grey_ones_are_shown(tmp_path: Path) -> None:
    truth, pair = made_truth(), made_pair(tmp_path, "deep")
    write_image(pair.image1, np.full(SIZE, 257 * 99, np.uint16))
    recorder = Recorder(tmp_path / "report")
    recorder(pair, truth, Method("near", "net", run=lambda _pair: {}), near(truth, 1.0))
    assert abs(int(read_image(recorder.pair_folder("deep") / "frame1.jpg").mean()) - 99) <= 1


def test_keys_of_methods_are_different_and_safe() -> None:
    keys = [
        key_of(*one)
        for one in (("a", None), ("a b", None), ("a-b", None), ("a", "b"), ("a/b", None), ("..", None))
    ]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9._@-]+", key) and not key.startswith(".") for key in keys)
    assert recorder_for(None) is None


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    check_folder(None)
    check_folder(str(tmp_path / "new" / "report"))
    assert (tmp_path / "new" / "report").is_dir()
    (tmp_path / "new" / "report" / "pairs").mkdir()
    check_folder(str(tmp_path / "new" / "report"))
    with pytest.raises(PatchBatchError, match="holds new, which is of no report; give --report a new folder"):
        check_folder(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(PatchBatchError, match="is a file; give --report a folder"):
        check_folder(str(tmp_path / "file"))


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "chairs" / "data"
    folder.mkdir(parents=True)
    for number in (1, 2):
        for frame in ("img1", "img2"):
            write_image(folder / f"0000{number}_{frame}.ppm", np.zeros((*SIZE, 3), np.uint8))
        write_flow(folder / f"0000{number}_flow.flo", np.full((*SIZE, 2), (3 * number, 0), np.float32))
    words = ["flow", "chairs", str(tmp_path), "--method", "zero", f"truth={folder}"]
    assert main([*words, "--report", str(tmp_path / "report")]) == 0
    told = capsys.readouterr()
    assert told.err.endswith(f"report: {tmp_path / 'report' / 'index.html'}\n")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    figures = [pair["figures"] for pair in data_of(page)["pairs"]]
    assert [one["zero"]["EPE"] for one in figures] == [3, 6]
    assert [one["truth"]["EPE"] for one in figures] == [0, 0]
    assert "Risk and coverage" not in page and "Error by occlusion" not in page


def drawn(folder: Path) -> dict[str, int]:
    """Return every picture below a folder, and when it was written."""
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*.png")}


@pytest.mark.slow
def test_a_report_goes_on_with_its_run_and_is_shared_out(tmp_path: Path) -> None:
    """What is kept is not drawn again, unless its pictures are missing; two processes draw what one does."""
    folder = tmp_path / "chairs" / "data"
    folder.mkdir(parents=True)
    for number in range(1, 5):
        for frame in ("img1", "img2"):
            write_image(folder / f"0000{number}_{frame}.ppm", np.zeros((*SIZE, 3), np.uint8))
        write_flow(folder / f"0000{number}_flow.flo", np.full((*SIZE, 2), (number, 0), np.float32))
    words = ["flow", "chairs", str(tmp_path), "--method", "zero", "--keep", str(tmp_path / "kept")]
    report = tmp_path / "report"
    assert main([*words, "--report", str(report), "--limit", "2"]) == 0
    before = drawn(report)
    assert main([*words, "--report", str(report)]) == 0
    after = drawn(report)
    assert len(after) == 2 * len(before) and {name: after[name] for name in before} == before
    shutil.rmtree(report / "pairs" / "00003" / "zero")
    assert main([*words, "--report", str(report)]) == 0
    again = drawn(report)
    assert again.keys() == after.keys()
    assert {name.split("/")[1] for name in again if again[name] != after[name]} == {"00003"}
    assert main([*words[:5], "--jobs", "2", "--report", str(tmp_path / "shared")]) == 0
    assert drawn(tmp_path / "shared").keys() == after.keys()
    one, two = ((place / "index.html").read_text("utf-8") for place in (report, tmp_path / "shared"))
    assert data_of(one) == data_of(two)


def test_a_report_of_pairs_without_truth_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for frame in ("image_2/000000_10.png", "image_2/000000_11.png"):
        file = tmp_path / "kitti2015" / "testing" / frame
        file.parent.mkdir(parents=True, exist_ok=True)
        write_image(file, np.zeros((*SIZE, 3), np.uint8))
    words = ["flow", "kitti2015", str(tmp_path), "--method", "zero", "--testing"]
    assert main([*words, "--report", str(tmp_path / "report")]) == 1
    assert "testing pairs have no truth" in capsys.readouterr().err


def test_pairs_that_failed_are_named_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "chairs" / "data"
    folder.mkdir(parents=True)
    for number in (1, 2):
        for frame in ("img1", "img2"):
            write_image(folder / f"0000{number}_{frame}.ppm", np.zeros((*SIZE, 3), np.uint8))
        write_flow(folder / f"0000{number}_flow.flo", np.zeros((*SIZE, 2), np.float32))
    (folder / "00002_flow.flo").write_bytes(b"<nothing>")
    words = ["flow", "chairs", str(tmp_path), "--method", "zero", "--report", str(tmp_path / "report")]
    assert main(words) == 1
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Not scored" in page and "00002" in page and "<nothing>" not in page
