"""The command line answers before anything slow is imported."""

import subprocess
import sys

import pytest

from benchmarks.__main__ import build_parser
from benchmarks.flow.command import settings_of

HEAVY = ("torch", "numpy", "cv2", "scipy", "numba")


@pytest.mark.parametrize("arguments", [["--help"], ["flow", "--help"], ["flow", "davis", "."]])
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from benchmarks.__main__ import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        f"    print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("loaded: []\n")


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "flow", "--help"], capture_output=True, text=True, check=True
    )
    assert "--pass" in result.stdout


def test_methods_and_models_can_be_given_again_and_again():
    words = [
        "flow",
        "chairs",
        "root",
        "--method",
        "zero",
        "--method",
        "dis-fast",
        "farneback",
        "--model",
        "a",
        "--model",
        "b",
    ]
    settings = settings_of(build_parser().parse_args(words))
    assert settings.methods == ("zero", "dis-fast", "farneback")
    assert settings.models == ("a", "b")
    plain = settings_of(build_parser().parse_args(["flow", "chairs", "root"]))
    assert (plain.methods, plain.models) == (("patchbatch",), ("compact",))
