"""The comparison with the original program on a made reference, and what a user can get wrong."""

import itertools
import json
from types import SimpleNamespace

import pytest
from made_reference import FRAMES, make_reference

from benchmarks.__main__ import main
from benchmarks.epic import comparison as epic
from benchmarks.epic.settings import EpicBenchmark
from flow.interpolation.settings import PRESETS
from flow.interpolation.stage import interpolate


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path)


@pytest.mark.parametrize("root", ["", "epic_reference"])
def test_rows_hold_both_errors_and_both_times(reference, root, tmp_path, capsys):
    file = tmp_path / "epic.json"
    assert main(["epic", str(reference / root), "--no-refine", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["rows"]
    assert row["pair"] == "Made" and row["variational"] is False
    assert row["median-difference"] == pytest.approx(0.25, abs=1e-3)
    assert row["EPE"] == pytest.approx(0, abs=1e-3) and row["EPE-reference"] == pytest.approx(0.25, abs=1e-3)
    assert row["Fl-all"] == row["Fl-all-reference"] == 0
    assert row["seconds-reference"] == 0.5
    line = capsys.readouterr().out.splitlines()[-1]
    assert [cell.strip() for cell in line.split("|")][1:4] == ["Made", "no", "0.250"]


def test_refined_row_adds_the_time_of_the_variational_step(reference, monkeypatch):
    """On clocks of which each reading is 1 s and 3 s after the one before; scoring is between two."""
    clocks = SimpleNamespace(
        perf_counter=itertools.count().__next__, process_time=itertools.count(0, 3).__next__
    )
    monkeypatch.setattr(epic, "time", clocks)
    rows = epic.run(EpicBenchmark(str(reference)))["rows"]
    assert [row["variational"] for row in rows] == [False, True]
    assert rows[1]["seconds-reference"] == 0.75
    assert [rows[1][name] - rows[0][name] for name in ("seconds", "seconds-cpu")] == [1, 3]
    assert (rows[0]["seconds"], rows[0]["seconds-cpu"]) == (1, 3)


def test_default_is_the_original_and_robust_is_the_projects_own():
    interpolation, refinement = EpicBenchmark("").stage_settings("kitti")
    assert interpolation == PRESETS["kitti"]
    own = EpicBenchmark("", estimator="robust").stage_settings("kitti")
    assert own[0].estimator == "robust"
    fixed = EpicBenchmark("", preset="middlebury").stage_settings("kitti")
    assert fixed[0] == PRESETS["middlebury"]
    original = EpicBenchmark("", estimator="robust", refinement="original").stage_settings("kitti")
    assert original[1] == refinement


def test_edges_and_estimator_reach_the_interpolation(reference, monkeypatch):
    seen = []

    def spy(matches, image, edges, settings):
        seen.append((edges.any(), settings.estimator))
        return interpolate(matches, image, edges, settings)

    monkeypatch.setattr(epic, "interpolate", spy)
    for edges, estimator in (("given", "nadaraya-watson"), ("gradient", "affine")):
        settings = EpicBenchmark(str(reference), edges=edges, estimator=estimator, refine=False)
        epic.run(settings)
    assert set(seen) == {(False, "nadaraya-watson"), (True, "affine")}  # the given map is empty


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda root: (root / "epic_reference/figures.json").unlink(), "no figures.json"),
        (lambda root: (root / "epic_reference/figures.json").write_text("{"), "not a table"),
        (lambda root: (root / "epic_reference/figures.json").write_text('{"Made": {}}'), "lack frames"),
        (lambda root: (root / "epic_reference/Made/edges.npz").write_bytes(b"PK"), "no array named edges"),
        (lambda root: (root / "epic_reference/Made/matches.txt").unlink(), "matches.txt"),
        (lambda root: (root / "flow" / FRAMES[1]).unlink(), "frame11.png"),
    ],
)
def test_what_is_missing_is_named_in_one_line(reference, break_it, complaint, capsys):
    break_it(reference)
    assert main(["epic", str(reference)]) == 1
    message = capsys.readouterr().err
    *told, line = message.splitlines()
    assert complaint in line and all(one.startswith("failed: Made: ") for one in told)


def test_a_json_file_needs_its_folder(reference, tmp_path, capsys):
    assert main(["epic", str(reference), "--json", str(tmp_path / "none" / "x.json")]) == 1
    assert "no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_original_is_reproduced_on_real_pairs(real_data):
    for row in epic.run(EpicBenchmark(str(real_data)))["rows"]:
        assert row["median-difference"] <= 0.1
        assert row["EPE"] <= 1.01 * row["EPE-reference"]


@pytest.mark.slow
def test_the_projects_own_beats_the_best_program_on_the_same_matches(real_data):
    # The least error of any public program on these matches, with refinement; rounded as it was reported.
    # On KITTI the settings are those that suit the choice that follows, which brought matches do without:
    # with 200 neighbours and an island test that knows no spacing it was 2.40.
    best = {"kitti2015_000005": 2.84, "sintel_final_cave_2": 1.076, "middlebury_RubberWhale": 0.109}
    for row in epic.run(EpicBenchmark(str(real_data), estimator="robust"))["rows"]:
        if row["variational"]:
            assert row["EPE"] <= best[row["pair"]]
