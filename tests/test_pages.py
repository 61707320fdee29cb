"""Every block of Python on these pages runs as printed, one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flow.synthetic import demo_scene
from patchbatch.data import write_image

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NEEDS = {"python": "h5py"}
SHOWS = {
    "python": [
        "(96, 128, 2) True None",
        "image 2: float images lie in [0, 1]",
        "torch.Size([2, 96, 128, 64])",
    ],
    "export": ["True"],
}


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWS)
def test_blocks_of_a_page_run_as_printed(page, tmp_path):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], reason=f"the page needs {NEEDS[page]}")
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == len(re.findall(r"^```python", text, re.MULTILINE)) > 0
    scene = demo_scene(96, 128)
    write_image(tmp_path / "a.png", scene.image1)
    write_image(tmp_path / "b.png", scene.image2)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in SHOWS[page]:
        assert words in done.stdout


def test_the_links_of_the_pages_lead_somewhere():
    for page in SHOWS:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "docs" / f"{page}.md").read_text()):
            assert (ROOT / "docs" / target).exists(), f"{page}.md: {target}"
