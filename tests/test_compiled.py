"""The cache of compiled loops: whatever happens to its files, the answer comes, and is that of the code."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE = """
from patchbatch.compiled import njit
FACTOR = {factor}
from part import inner
@njit()
def outer(x):
    return inner(x) * FACTOR
"""
PART = """
from patchbatch.compiled import njit
TERM = {term}
@njit()
def inner(x):
    return x + TERM
"""
RUN = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
from made import outer
print(outer(1), outer._cache_hits, outer._cache.cache_path)
"""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "code"
    place.mkdir()
    write(place)
    return place


def write(place, factor=10, term=1):
    (place / "made.py").write_text(MODULE.format(factor=factor))
    (place / "part.py").write_text(PART.format(term=term))
    for name in ("made.py", "part.py"):  # numba looks at times and sizes of its own file: they stay the same
        os.utime(place / name, (1e9, 1e9))


def run(place, **environment):
    """Call the compiled function in another process; return answer, whether it was kept, cache and log."""
    paths = os.pathsep.join([str(place), str(ROOT)])
    known = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=known | {"PYTHONPATH": paths} | environment, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer, hits, path = done.stdout.split(maxsplit=2)
    return int(answer), hits != "Counter()", Path(path.strip()), done.stderr


def kept(place):
    return sorted(place.glob("__pycache__/made.outer*.nb?"))


def test_it_compiles_once_and_says_so(folder):
    answer, hit, cache, said = run(folder)
    assert (answer, hit, cache) == (20, False, folder / "__pycache__")
    assert said.count("compiling loops") == 1
    answer, hit, _, said = run(folder)
    assert (answer, hit, said) == (20, True, "")


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"factor": 30}, {"term": 3}])
def test_other_code_is_never_taken(folder, change):
    """A constant of its own, or of the function that it calls, in files of the same time and size."""
    run(folder)
    write(folder, **{"factor": 10, "term": 1} | change)
    answer, hit, _, _ = run(folder)
    assert answer == (1 + change.get("term", 1)) * change.get("factor", 10)
    assert not hit
    assert run(folder)[:2] == (answer, True)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_cache_is_made_anew(folder, suffix, damage):
    run(folder)
    for file in kept(folder):
        if file.suffix == suffix:
            file.write_bytes(file.read_bytes()[:200] if damage is None else damage)
    assert run(folder)[:2] == (20, False)
    answer, hit, _, said = run(folder)
    assert (answer, hit, said) == (20, True, "")


@pytest.mark.slow
def test_what_another_process_wrote_in_its_place_is_not_taken(folder):
    """Numbers of data files are given without a lock: the file may hold the code for other types."""
    run(folder)
    (data,) = [file for file in kept(folder) if file.suffix == ".nbc"]
    other = "import made; made.outer(1.5)"
    index = next(file for file in kept(folder) if file.suffix == ".nbi")
    of_integers = index.read_bytes()
    index.unlink()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    subprocess.run([sys.executable, "-c", other], env=environment, check=True)
    assert data.exists()
    index.write_bytes(of_integers)
    assert run(folder)[:2] == (20, False)
    assert run(folder)[:2] == (20, True)


def test_the_disk_is_full(folder, tmp_path):
    """Nothing can be written into the folder once it is chosen: a file system without room."""
    (tmp_path / "sitecustomize.py").write_text(
        "from numba.core.caching import IndexDataCacheFile as File\n"
        "def full(self, *given):\n    raise OSError(28, 'No space left on device')\n"
        "File._save_data = full\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(folder), str(ROOT)])
    answer, hit, _, said = run(folder, PYTHONPATH=paths)
    assert (answer, hit) == (20, False)
    assert said.count("No space left on device") == 1 and "Traceback" not in said


@pytest.mark.slow
def test_read_only_package_and_no_home(folder, tmp_path):
    """Neither beside the source nor at home: a folder for temporary files of one's own."""
    (folder / "__pycache__").write_text("a file, so that nothing can be written there, whoever one is")
    (tmp_path / "temporary").mkdir()
    given = {
        "HOME": "/dev/null/nowhere", "XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(tmp_path / "temporary")
    }  # fmt: skip
    answer, hit, cache, _ = run(folder, **given)
    (own,) = (tmp_path / "temporary").iterdir()
    assert (answer, hit) == (20, False) and cache.is_relative_to(own)
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert run(folder, **given)[:2] == (20, True)
    own.chmod(0o777)  # anybody may have put something there
    answer, hit, cache, said = run(folder, **given)
    assert (answer, hit, str(cache)) == (20, False, "None")
    assert said.count("no folder to keep compiled loops in") == 1
