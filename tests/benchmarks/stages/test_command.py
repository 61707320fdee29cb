"""The stages command on a made scene, and the matches that are made of the truth."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.stages.settings import PARTS
from benchmarks.stages.variants import SUBSTITUTES, error_px, true_matches, variants_of
from flow.edges.network import EdgeNetwork, save_edge_network
from flow.matching.matches import Matches
from flow.presets import PRESETS as NAMES
from flow.settings import flow_settings
from flow.synthetic import demo_scene
from patchbatch.data.datasets.pairs import Truth
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image

SHAPE = (30, 40)
PRESETS = {name: flow_settings(name) for name in NAMES}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a Middlebury tree of two pairs of one scene."""
    root = tmp_path_factory.mktemp("data")
    scene = demo_scene(48, 64)
    for name in ("A", "B"):
        frames = root / "middlebury" / "other-data" / name
        frames.mkdir(parents=True)
        write_image(frames / "frame10.png", scene.image1)
        write_image(frames / "frame11.png", scene.image2)
        truth = root / "middlebury" / "other-gt-flow" / name
        truth.mkdir(parents=True)
        write_flow(truth / "flow10.flo", scene.flow)
    return root


def truth_of(valid=None):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    flow = np.stack([x / 2, -y], axis=-1).astype(np.float32)
    return Truth(flow, np.ones(SHAPE, np.bool_) if valid is None else valid)


def matches_at(points, truth, off=0.0):
    """Matches at whole pixels, `off` px to the right of the truth."""
    points = np.asarray(points, np.float32)
    x, y = points.astype(int).T
    vectors = truth.flow[y, x] + np.stack([np.broadcast_to(off, len(points)), 0 * x], axis=1)
    some = np.full(len(points), 0.5, np.float32)
    return Matches(points, (points + vectors).astype(np.float32), some, some)


def test_report_has_every_variant_of_every_pair(root, tmp_path, capsys):
    weights = tmp_path / "edges.safetensors"
    save_edge_network(EdgeNetwork(), weights)
    file = tmp_path / "stages.json"
    options = ["--pair", "B", "--edge-network", str(weights), "--json", str(file)]
    assert main(["stages", str(root), *options]) == 0
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == ["benchmark", "environment", "rows", "per_pair", "failed"]
    assert str(root) not in file.read_text() and str(tmp_path) not in file.read_text()
    expected = [(v.part, v.name) for v in variants_of("middlebury", PRESETS["middlebury"], network=True)]
    expected += [("completion", "best candidate (truth)")]
    expected += [("matches", name) for name in SUBSTITUTES]
    assert [(row["part"], row["variant"]) for row in report["rows"]] == expected
    assert {row["pair"] for row in report["per_pair"]} == {"B"}
    rows = {(row["part"], row["variant"]): row for row in report["rows"]}
    own = rows["matches", "own"]
    assert own["EPE"] == rows["default", "default"]["EPE"] and own["matches"] > 50
    assert rows["completion", "interpolated"]["EPE"] != own["EPE"]
    assert rows["matches", "true everywhere"]["wrong"] == rows["matches", "true in place"]["wrong"] == 0
    shown = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]
    assert cells[0] == ["part", "variant", "middlebury"]
    assert ["matches", "own", f"{own['EPE']:.3f} / {own['Fl-all-per-image']:.2f}"] in cells
    assert report["environment"]["flow-settings"]["middlebury"]["interpolation"]["estimator"] == "robust"


def test_only_the_parts_asked_for_are_changed(root, tmp_path, capsys):
    file = tmp_path / "stages.json"
    options = ["--pair", "A", "--part", "refinement", "--json", str(file)]
    assert main(["stages", str(root), *options]) == 0
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert {row["part"] for row in rows} == {"default", "refinement"}
    assert "matches" not in capsys.readouterr().out
    assert main(["stages", str(root), "--part", "refinment"]) == 1
    assert "unknown part 'refinment'; did you mean 'refinement'?" in capsys.readouterr().err


def test_parts_are_those_there_are():
    parts = {v.part for name in ("kitti", "default") for v in variants_of(name, PRESETS[name], network=True)}
    assert {*parts, "matches"} == {*PARTS, "default"}


def test_a_variant_changes_its_own_part_only():
    for preset, default in PRESETS.items():
        first, *others = variants_of(preset, default, network=True)
        assert first.interpolation == default.interpolation and first.completion == default.completion
        assert first.refinement == default.refinement
        for variant in others:
            same = (
                variant.interpolation == default.interpolation,
                variant.completion == default.completion,
                variant.edges == "default",
            )
            if variant.part == "refinement":
                assert variant.refinement != default.refinement and all(same)
            else:
                assert variant.refinement == default.refinement
                assert same.count(False) == 1 and same[1] == (variant.part != "completion")
        assert len({(v.part, v.name) for v in others}) == len(others)


def names_of(preset, default, part):
    return [v.name for v in variants_of(preset, default, network=False) if v.part == part]


def test_every_part_of_the_completion_is_changed():
    default = PRESETS["default"]
    rows = ["interpolated", "no rounds", "planes", "settled from 0.5", "settled from 0.9"]
    assert names_of("default", default, "completion") == rows
    other = replace(default, completion=replace(default.completion, planes=0, settled=0.9))
    rows = ["interpolated", "no rounds", "planes", "settled from 0.5"]
    assert names_of("default", other, "completion") == rows
    kitti = ["interpolated", "no rounds", "no planes", "settled from 0.9"]
    assert names_of("kitti", PRESETS["kitti"], "completion") == kitti
    plain = replace(default, completion=replace(default.completion, method="interpolated"))
    assert names_of("default", plain, "completion") == ["chosen"]


def test_reach_of_the_refinement_is_switched():
    for preset, default in PRESETS.items():
        held = replace(default, refinement=replace(default.refinement, reach_px=1.5))
        free = replace(default, refinement=replace(default.refinement, reach_px=math.inf))
        assert names_of(preset, held, "refinement")[-1] == "any reach"
        assert names_of(preset, free, "refinement")[-1] == "within 2 px"


def test_extrapolation_is_switched_to_what_the_default_is_not():
    for preset, default in PRESETS.items():
        (variant,) = (v for v in variants_of(preset, default, network=False) if v.part == "extrapolation")
        reaches = default.interpolation.extrapolation_px, variant.interpolation.extrapolation_px
        assert math.inf in reaches and min(reaches) < math.inf
        assert variant.name == ("off" if reaches[0] < math.inf else "on")


def test_true_matches_sit_on_the_nearest_known_pixel_of_the_cell():
    valid = np.zeros(SHAPE, np.bool_)
    valid[10, 11] = valid[20, 24] = True
    found = true_matches(np.array([[10, 10], [21, 20]]), truth_of(valid))
    assert found.points1.tolist() == [[11, 10]]  # the other is 3 px away
    assert found.points2.tolist() == [[11 + 5.5, 0]]
    assert found.confidence.tolist() == [1]


@pytest.mark.parametrize("places", [np.zeros((0, 2)), np.array([[3, 3]])])
def test_without_truth_there_is_no_true_match(places):
    assert len(true_matches(places, truth_of(np.zeros(SHAPE, np.bool_)))) == 0


def test_substitutes_in_closed_form():
    truth = truth_of()
    truth.valid[5, 5] = False
    points = [[4, 4], [5, 5], [16, 7], [31, 22]]
    matches = matches_at(points, truth, off=[1, 9, 4, 0])
    assert SUBSTITUTES["own"](matches, truth) is matches
    np.testing.assert_array_equal(error_px(matches, truth), [1, np.nan, 4, 0])
    # What is not known to be wrong stays.
    kept = SUBSTITUTES["wrong removed"](matches, truth)
    assert kept.points1.tolist() == [[4, 4], [5, 5], [31, 22]]
    mended = SUBSTITUTES["wrong mended"](matches, truth)
    np.testing.assert_array_equal(error_px(mended, truth), [1, np.nan, 0, 0])
    exact = SUBSTITUTES["true in place"](matches, truth)
    assert len(exact) == 4 and not error_px(exact, truth).any()


def test_noise_has_the_stated_size_and_everywhere_is_the_grid():
    truth = truth_of()
    everywhere = SUBSTITUTES["true everywhere"](matches_at([[4, 4]], truth), truth)
    assert len(everywhere) == len({tuple(p) for p in everywhere.points1.tolist()}) == 10 * 13
    noisy = SUBSTITUTES["true in place, 0.5 px noise"](everywhere, truth)
    assert (noisy.points2 - everywhere.points2).std() == pytest.approx(0.5, rel=0.15)


def test_what_a_user_can_get_wrong(root, tmp_path, capsys):
    assert main(["stages", str(root), "--pair", "C"]) == 1
    assert "unknown pair 'C'; there are A, B" in capsys.readouterr().err
    assert main(["stages", str(root), "--json", str(tmp_path / "none" / "x.json")]) == 1
    assert "no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["stages", str(root), "--dataset", "unknown"])


def test_a_preset_without_change_is_compared_with_the_others():
    bare = replace(PRESETS["kitti"], interpolation=PRESETS["default"].interpolation)
    names = [(v.part, v.name) for v in variants_of("kitti", bare, network=False)]
    assert ("extrapolation", "off") in names and ("edges", "network") not in names
