"""The table of data sets: every entry can be used, and nothing slow is imported to read it."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.metrics import OFFICIAL
from flow.presets import PRESETS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.tables import load_object


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_names_what_is_there(name: str, tmp_path: Path) -> None:
    dataset = DATASETS[name]
    assert dataset.pairs(tmp_path) == []
    assert callable(load_object(dataset.reader))
    assert dataset.preset in PRESETS
    assert dataset.folders and dataset.expected and dataset.help
    assert dataset.other_frames_of in ("", *DATASETS)
    assert dataset.judged_as in OFFICIAL or not dataset.benchmark


def test_the_table_needs_neither_numpy_nor_torch() -> None:
    program = (
        "import sys, patchbatch.data.datasets.table\n"
        "print([name for name in ('numpy', 'torch', 'cv2') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
