"""The study of projections: on numbers whose best directions are known, and the command on a made scene."""

import json

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.projection.study import Task, judge, projections
from flow.synthetic import demo_scene
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image


def made_descriptors(rng, count):
    """Make twelve numbers of which four tell pixels apart and eight are louder noise."""
    signal = rng.normal(size=(count, 4))
    first, second = (
        np.hstack([signal + 0.05 * rng.normal(size=(count, 4)), 3 * rng.normal(size=(count, 8))]).astype(
            np.float32
        )
        for _ in range(2)
    )
    return first, second


def test_joint_bayesian_keeps_what_tells_apart_and_principal_components_what_is_loud():
    rng = np.random.default_rng(0)
    first, second = made_descriptors(rng, 3000)
    maps = projections(first, second, second[rng.permutation(3000)], (4,))
    assert list(maps) == ["joint-bayesian-4", "principal-4"]
    loud = {name: np.linalg.norm(found[4:]) / np.linalg.norm(found) for name, found in maps.items()}
    assert loud["joint-bayesian-4"] < 0.1 and loud["principal-4"] > 0.9
    points, region = made_descriptors(rng, 400)
    y, x = np.divmod(np.arange(400), 20)
    targets = np.stack([x, y], axis=1).astype(np.float64)
    task = Task("made", torch.from_numpy(points), torch.from_numpy(region).reshape(20, 20, 12), targets)
    rows = {row["projection"]: row for row in judge([task, task], maps)}
    assert [row["numbers"] for row in rows.values()] == [12, 4, 4]
    assert rows["joint-bayesian"]["raw-error"] < 10
    assert rows["none"]["raw-error"] > 50
    assert rows["none"]["pairs"] == 2 and set(rows["none"]["by-dataset"]) == {"made"}


def test_the_command_writes_its_rows(tmp_path, capsys):
    scene = demo_scene(48, 64)
    frames, truth = (tmp_path / "middlebury" / part / "A" for part in ("other-data", "other-gt-flow"))
    frames.mkdir(parents=True)
    truth.mkdir(parents=True)
    write_image(frames / "frame10.png", scene.image1)
    write_image(frames / "frame11.png", scene.image2)
    write_flow(truth / "flow10.flo", scene.flow)
    file = tmp_path / "p.json"
    options = [
        "--model",
        "compact",
        "--numbers",
        "8",
        "--region",
        "12",
        "--points",
        "80",
        "--json",
        str(file),
    ]
    assert main(["projection", str(tmp_path), "--train", str(tmp_path), *options]) == 0
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert [(row["projection"], row["numbers"]) for row in rows] == [
        ("none", 64), ("joint-bayesian", 8), ("principal", 8),
    ]  # fmt: skip
    assert all(0 <= row["raw-error"] <= 100 for row in rows)
    cells = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert ["compact", "joint-bayesian", "8"] in [line[1:4] for line in cells]


@pytest.mark.parametrize("options", [["--numbers", "0"], ["--region", "0"], ["--json", "/nowhere/p.json"]])
def test_what_cannot_be_is_refused(tmp_path, options, capsys):
    assert main(["projection", str(tmp_path), "--train", str(tmp_path), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
