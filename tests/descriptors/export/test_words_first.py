"""`patchbatch-export` says what it can before anything slow is imported."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "cv2", "scipy", "numba", "onnx")


def start(words, heavy, folder):
    code = (
        "import sys\nfrom patchbatch.descriptors.export.command import main\n"
        f"try:\n    status = main({words!r})\nexcept SystemExit as end:\n    status = end.code\n"
        f"print(); print(status, [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout.splitlines()[-1], done.stdout + done.stderr


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["--version"], 0), ([], 2), (["a"], 2)])
def test_help_and_usage_import_nothing_heavy(words, status, tmp_path):
    last, _ = start(words, HEAVY, tmp_path)
    assert last == f"{status} []"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compakt", "a.onnx"], "did you mean 'compact'"),
        (["compact", "a.jpg"], "choose one of these"),
        (["compact", "no/a.onnx"], "does not exist"),
        (["none.safetensors", "a.onnx"], "no weights file none.safetensors"),
    ],
)
def test_mistakes_are_said_without_torch(words, says, tmp_path):
    last, said = start(words, ("torch",), tmp_path)
    assert last == "1 []" and says in said
