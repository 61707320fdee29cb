"""The examples and README's Python run as they stand."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from flow.synthetic import demo_scene
from patchbatch.data import write_image
from patchbatch.errors import PatchBatchError
from patchbatch.tables import load_object

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def frames(tmp_path):
    scene = demo_scene(96, 128)
    write_image(tmp_path / "a.png", scene.image1)
    write_image(tmp_path / "b.png", scene.image2)
    return tmp_path


def run(folder, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
def test_flow_of_two_images(frames):
    out = run(frames, str(ROOT / "examples" / "flow_of_two_images.py"), "a.png", "b.png")
    assert "matches" in out
    assert (frames / "flow.npz").exists()


@pytest.mark.slow
def test_kornia_descriptor(frames):
    out = run(frames, str(ROOT / "examples" / "kornia_descriptor.py"), "a.png", "b.png")
    assert int(out.split()[0]) > 20


@pytest.mark.slow
def test_the_tour_runs_cell_by_cell(tmp_path):
    cells = json.loads((ROOT / "examples" / "tour.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells)  # what is committed was not run on some machine
    out = run(tmp_path, "-c", "import matplotlib; matplotlib.use('Agg')\n" + "\n".join(code))
    assert re.search(r"end-point error 0\.\d+ px, median 0\.0", out)
    x, y, true_x, true_y = map(float, re.search(r"nearest (\S+), (\S+); true (\S+), (\S+)", out).groups())
    assert max(abs(x - true_x), abs(y - true_y)) < 3


@pytest.mark.slow
def test_python_of_readme(frames):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    out = run(frames, "-c", code)
    assert "(96, 128, 2)" in out


@pytest.mark.parametrize(
    ("there", "says"),
    [(False, "this example needs torchvision"), (True, "RAFT_WEIGHTS is 'nowhere.pth'; set it to a file")],
)
def test_raft_refuses_in_one_line_what_it_lacks(there, says, monkeypatch):
    name = "torchvision.models.optical_flow"
    made = types.SimpleNamespace(raft_large=None, raft_small=None) if there else None
    for module in ("torchvision", "torchvision.models", name):
        monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.setenv("RAFT_WEIGHTS", "nowhere.pth")
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(PatchBatchError) as caught:
        load_object("examples.torchvision_raft:raft")
    assert says in str(caught.value) and "\n" not in str(caught.value)
