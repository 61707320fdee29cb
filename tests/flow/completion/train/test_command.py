"""The command: what it refuses before torch is imported, and a whole small run."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
from event_files import assert_same_figures
from made_choices import made_sample
from made_descriptors import texture

from flow.completion.network import ChoiceNetwork, load_choice_network, save_choice_network
from flow.completion.train import making, store, teach
from flow.completion.train.command import build_parser, main
from flow.completion.train.making import TruePair, flipped, resized, varied
from flow.completion.train.plan import make_plan
from flow.completion.train.samples import write_sample
from patchbatch.program import INTERRUPTED

CHILD = """
import json, sys
from flow.completion.train.command import main
for words in json.loads(sys.argv[1]):
    try:
        status = main(words)
    except SystemExit as stop:
        status = stop.code
    print("status", status, "torch" if "torch" in sys.modules else "quick", file=sys.stderr)
"""


@pytest.fixture
def words(tmp_path):
    """Return the words of a small run on two photographs, of which one lies in a folder below."""
    for folder, seed in (("photos", 0), ("photos/below", 1), ("frames", 2)):
        (tmp_path / folder).mkdir()
        photo = (np.dstack([texture(60, 90, 9 * seed + k) for k in range(3)]) * 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / folder / f"{seed}.png"), photo)
    named = {"photos": "photos", "frames": "frames", "cache": "cache", "output": "out/w.safetensors"}
    paths = [word for name, path in named.items() for word in (f"--{name}", str(tmp_path / path))]
    return [*paths, "--scenes", "2", "--steps", "3", "--device", "cpu"]


def test_help_and_refusals_come_before_torch(words, tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "empty").mkdir()
    cases = [
        (["--help"], 0),
        (["--steps", "0"], 1),
        (["--minutes", "nan"], 1),
        (["--scenes", "0"], 1),
        (["--real", "1.5"], 1),
        (["--jobs", "0"], 1),
        (["--photos", tmp_path / "none"], 1),
        (["--photos", tmp_path / "empty"], 1),
        (["--frames", tmp_path / "empty"], 1),
        (["--pairs", tmp_path / "empty"], 1),
        (["--cache", tmp_path / "file"], 1),
        (["--output", tmp_path], 1),
        (["--output", tmp_path / "file" / "w.safetensors"], 1),
        (["--output", tmp_path / "w.pt"], 1),
        (["--start", tmp_path / "none"], 1),
        (["--unknown"], 2),
    ]
    told = json.dumps([[*words, *map(str, extra)] for extra, _ in cases])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, told], cwd=Path(__file__).parents[4], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    parts = re.split(r"^status (\d) (\w+)\n", done.stderr, flags=re.MULTILINE)
    for (extra, status), said, code, speed in zip(cases, parts[0::3], parts[1::3], parts[2::3], strict=False):
        assert (int(code), speed) == (status, "quick"), extra
        assert status != 1 or (said.startswith("error: ") and said.count("\n") == 1), extra
    assert len(parts) == 3 * len(cases) + 1


def fill(words, **changed):
    """Write made samples where those of the scenes would be, and return their files."""
    plan = make_plan(build_parser().parse_args(words))
    for task in store.scene_tasks(plan):
        write_sample(task.path, made_sample(28, 30, seed=task.scene, most=4, **changed))
    return [task.path for task in store.scene_tasks(plan)]


def test_samples_that_are_there_are_taught_and_a_finished_run_changes_nothing(
    words, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(teach, "_REPORT", 1)
    fill(words)
    assert main([*words, "--log", "tensorboard"]) == 0
    assert_same_figures(tmp_path / "out" / "w.events", tmp_path / "out" / "w.log.csv")
    output = tmp_path / "out" / "w.safetensors"
    assert capsys.readouterr().out.strip() == str(output)
    load_choice_network(str(output))
    first = output.read_bytes()
    assert main(words) == 0 and output.read_bytes() == first
    assert main([*words, "--steps", "4"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert main([*words, "--seed", "1"]) == 1
    assert "another seed" in capsys.readouterr().err


def test_a_training_that_is_stopped_keeps_its_step_and_goes_on(words, tmp_path, monkeypatch, capsys):
    fill(words)
    words = [*words, "--steps", "12"]
    assert main(words) == 0
    output = tmp_path / "out" / "w.safetensors"
    straight = output.read_bytes()
    for file in output.parent.iterdir():
        file.unlink()
    with monkeypatch.context() as patch:
        asked = iter([False, True])
        patch.setattr(teach, "asked_to_stop", lambda: nullcontext(lambda: next(asked)))
        assert main(words) == INTERRUPTED
    assert not output.exists()
    assert main(words) == 0
    assert output.read_bytes() == straight


def test_damaged_samples_and_foreign_weights_are_one_line(words, tmp_path, capsys):
    for file in fill(words):
        file.write_bytes(b"junk")
    assert main(words) == 1
    assert "delete it" in capsys.readouterr().err.splitlines()[-1]
    save_choice_network(ChoiceNetwork(width=32), tmp_path / "other.safetensors")
    assert main([*words, "--start", str(tmp_path / "other.safetensors")]) == 1
    assert "choice network" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_scenes_are_made_once_and_alike(words, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "frame_size", lambda kind, generator: (96, 128))
    assert main([*words, "--make-only"]) == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "cache").glob("scene-*.npz")}
    assert sorted(made) == ["scene-000000.npz", "scene-000001.npz"]
    (tmp_path / "cache" / "scene-000001.npz").unlink()
    assert main([*words, "--make-only"]) == 0
    assert {name: (tmp_path / "cache" / name).read_bytes() for name in made} == made
    assert not (tmp_path / "out" / "w.safetensors").exists()


def made_pair(height=20, width=30):
    rng = np.random.default_rng(0)
    images = rng.random((2, height, width)).astype(np.float32)
    flow = rng.normal(0, 3, (height, width, 2)).astype(np.float32)
    return TruePair(*images, flow, rng.random((height, width)) < 0.5, None, "kitti")


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_turns_the_motion_with_the_images(axis):
    pair = made_pair()
    turned = flipped(pair, axis)
    y, x = (19 - 4, 7) if axis == 0 else (4, 29 - 7)
    assert turned.image1[y, x] == pair.image1[4, 7] and turned.valid[y, x] == pair.valid[4, 7]
    sign = (1, -1) if axis == 0 else (-1, 1)
    np.testing.assert_array_equal(turned.flow[y, x], pair.flow[4, 7] * sign)
    np.testing.assert_array_equal(flipped(turned, axis).flow, pair.flow)


@pytest.mark.parametrize("scale", [0.6, 1.5])
def test_resizing_scales_the_motion(scale):
    pair = made_pair()
    other = resized(pair, scale)
    assert other.image1.shape == other.image2.shape == other.valid.shape == (20 * scale, 30 * scale)
    assert other.image1.min() >= 0 and other.image1.max() <= 1 and other.preset == "kitti"
    for y, x in ((0, 0), (11, 17)):
        source = pair.flow[round(y / scale), round(x / scale)]
        np.testing.assert_allclose(other.flow[y, x], source * scale, rtol=1e-6)


def test_variants_differ_by_the_width():
    assert varied(made_pair(), "as-is").image1.shape == (20, 30)
    assert varied(made_pair(), "mirrored").image1.shape == (20, 30)
    for width, sizes in ((30, (39, 45)), (800, (560, 480))):
        made = [varied(made_pair(20, width), name) for name in ("other-size-upside-down", "other-size")]
        assert [pair.image1.shape[1] for pair in made] == list(sizes)
