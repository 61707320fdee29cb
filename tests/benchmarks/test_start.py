"""The command line answers before anything slow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import parse
from benchmarks.flow.command import benchmark_of
from benchmarks.table import COMMANDS
from patchbatch.data.datasets.table import DATASETS
from patchbatch.data.formats import write_flow
from patchbatch.data.images import write_image

HEAVY = ("torch", "numpy", "cv2", "scipy", "numba", "matplotlib")
PROGRAM = """\
import sys
from benchmarks.__main__ import main
try:
    status = main({words!r})
except SystemExit as end:
    status = end.code
print("status:", status)
print("loaded:", [name for name in {heavy!r} if name in sys.modules])
"""


def start(words: list[str], heavy: tuple[str, ...], folder: Path | None = None) -> tuple[int, str, str]:
    """Run a command line; return its status, what of the heavy was loaded, and stderr."""
    program = PROGRAM.format(words=words, heavy=heavy)
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    status, loaded = (line.partition(": ")[2] for line in result.stdout.splitlines()[-2:])
    return int(status), loaded, result.stderr


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids="".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert start([*words, "--help"], HEAVY)[:2] == (0, "[]")


@pytest.mark.parametrize(
    "words",
    [[], ["nothing"], ["flow", "davis", "."], ["matching", "--method", "best"], ["speed", "--only", "x"]],
)
def test_usage_errors_import_nothing_heavy(words: list[str]) -> None:
    assert start(words, HEAVY)[:2] == (2, "[]")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with one pair of FlyingChairs, and files that are none of settings or weights."""
    import numpy as np  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("data")
    (folder / "chairs" / "data").mkdir(parents=True)
    for frame in ("img1", "img2"):
        write_image(folder / "chairs" / "data" / f"00001_{frame}.ppm", np.zeros((8, 8, 3), np.float32))
    write_flow(folder / "chairs" / "data" / "00001_flow.flo", np.zeros((8, 8, 2), np.float32))
    (folder / "bad.toml").write_text("[matching]\nmetod = 'exact'\n")
    (folder / "bad.safetensors").write_bytes(b"nothing")
    return folder


SAID_WITHOUT_TORCH = [
    ("flow chairs nowhere", "no folder nowhere"),
    ("flow middlebury .", "no middlebury pairs"),
    ("flow chairs . --method farnebck", "did you mean 'farneback'"),
    ("flow chairs . --model none", "unknown model 'none'"),
    ("flow chairs . --settings bad.toml", "did you mean 'matching.method'"),
    ("flow chairs . --json no/f.json", "no folder for no/f.json"),
    ("flow chairs . --report chairs", "chairs holds data, which is of no report"),
    ("flow chairs . --report bad.toml", "bad.toml is a file; give --report a folder"),
    ("flow chairs . --published", "--published has rows for"),
    ("flow chairs . --write-as .flo", "--write-as is the form of what --write DIR keeps"),
    ("flow chairs . --report-pictures none", "--report-pictures is about the page of --report DIR"),
    ("suite nowhere out", "no folder nowhere"),
    ("suite . out --model none", "unknown model 'none'"),
    ("transfer --made --steps 3", "--steps does nothing with --made"),
    ("transfer --made --orthogonality within", "--orthogonality does nothing with --made"),
    ("transfer . --epochs 3", "--epochs is of --made"),
    ("faces . --copies 2", "--copies does nothing without --train"),
    ("flow chairs . --testing", "chairs has no testing pairs"),
    ("flow chairs . --submission a.zip", "--submission: there is a form for"),
    ("flow chairs . --matches x=nowhere", "a folder of match lists that exists"),
    ("flow chairs . --keep bad.toml", "folder bad.toml cannot be used"),
    ("flow chairs . --write bad.toml", "folder bad.toml cannot be used"),
    ("flow chairs . --csv f.txt", "give --csv a .csv file"),
    ("flow chairs . --method x=no_module_of_this_name:f", "cannot import no_module_of_this_name"),
    ("descriptors nowhere", "no folder nowhere"),
    ("descriptors . --only surf", "unknown descriptor 'surf'"),
    ("descriptors . --model none", "unknown model 'none'"),
    ("descriptors . --model bad.safetensors", "bad.safetensors is not a PatchBatch weights file"),
    ("descriptors . --figure no/f.png", "no folder for no/f.png"),
    ("matching nowhere", "no folder nowhere"),
    ("matching . --model none", "unknown model 'none'"),
    ("matching . --settings bad.toml", "did you mean 'matching.method'"),
    ("matching . --dataset kitti2015", "no kitti2015 pairs"),
    ("matching . --reliability r.jpg", "the picture is a .png"),
    ("confidence nowhere", "no folder nowhere"),
    ("confidence . --settings bad.toml", "did you mean 'matching.method'"),
    ("confidence . --dataset kitti2015", "no kitti2015 pairs"),
    ("confidence . --picture bad.toml", "bad.toml is a file; give --picture a folder"),
    ("projection . --train nowhere", "no folder nowhere"),
    ("projection . --train . --model own:factory", "takes a network of this project"),
    ("projection . --train . --model compact --numbers 65", "project to no more"),
    ("epic nowhere", "no figures.json in nowhere"),
    ("stages nowhere", "no folder nowhere"),
    ("stages . --pair 00002", "unknown pair '00002'; did you mean '00001'"),
    ("stages . --settings bad.toml", "did you mean 'matching.method'"),
    ("stages . --edge-network none", "no file none"),
    ("speed --model none", "unknown model 'none'"),
    ("speed --settings bad.toml", "did you mean 'matching.method'"),
    ("speed --repeats 0", "repeats is 0"),
    ("ablation nowhere", "no folder nowhere"),
    ("training --repeats 0", "repeats is 0"),
    ("transfer --made --seeds 0", "seeds is 0"),
    ("transfer nowhere", "no folder nowhere"),
    ("transfer", "give the folder of CIFAR-100"),
    ("faces . --train nowhere", "no folder nowhere"),
    ("faces . --train . --copies 1 --plot p.png", "--plot goes with the histograms"),
    ("speed --plot p.txt", "use .png, .svg or .pdf"),
    ("faces . --plot p.txt", "use .png, .svg or .pdf"),
    ("faces nowhere", "nowhere does not exist"),
]


@pytest.mark.parametrize(("words", "message"), SAID_WITHOUT_TORCH)
def test_mistakes_are_said_before_torch_is_imported(words: str, message: str, data: Path) -> None:
    status, loaded, said = start(words.split(), ("torch",), data)
    assert (status, loaded) == (1, "[]")
    assert said.startswith("error: ") and message in said and said.count("\n") == 1


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "flow", "--help"], capture_output=True, text=True, check=True
    )
    assert "--keep-invalid" in result.stdout


def test_every_command_of_the_table_is_there() -> None:
    for entry in COMMANDS.values():
        assert callable(entry.load()) and entry.help
    assert parse(["flow", next(iter(DATASETS)), "root"]).root == "root"


def test_methods_and_models_can_be_given_again_and_again() -> None:
    words = "flow chairs root --method zero --method dis-fast farneback --model a --model b"
    benchmark = benchmark_of(parse(words.split()))
    assert benchmark.methods == ("zero", "dis-fast", "farneback")
    assert benchmark.models == ("a", "b")
    plain = benchmark_of(parse(["flow", "chairs", "root"]))
    assert (plain.methods, plain.models) == (("patchbatch",), ("compact",))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("flow chairs . --json data/a.ppm", "the report is a .json"),
        ("flow chairs . --json data", "data is a folder"),
        ("descriptors . --figure data/00001_picture.png", "would be drawn over a file of ."),
    ],
)
def test_what_is_read_is_never_written_over(data: Path, words: str, says: str) -> None:
    (data / "data").mkdir(exist_ok=True)
    (data / "data" / "00001_picture.png").write_bytes(b"a picture of the data")
    status, _, said = start(words.split(), (), data)
    assert (status, says in said) == (1, True), said
    assert (data / "data" / "00001_picture.png").read_bytes() == b"a picture of the data"
