"""The rooms: arrows go one way, nothing goes round in a circle, no folder is a corridor."""

import ast
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("patchbatch", "flow", "benchmarks")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MOST_FILES = 14


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports_of(path):
    """Names of our modules that a file imports anywhere, in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in found if name in MODULES}


GRAPH = {name: imports_of(path) - {name} for name, path in MODULES.items()}


def test_arrows_go_from_benchmarks_to_flow_to_patchbatch():
    for name, targets in GRAPH.items():
        above = PACKAGES[PACKAGES.index(name.split(".")[0]) + 1 :]
        assert not [target for target in targets if target.split(".")[0] in above], name


def test_no_circle_of_imports():
    # Packages export lazily and import nothing themselves.
    left = {name: {t for t in targets if not is_package(t)} for name, targets in GRAPH.items()}
    while free := [name for name, targets in left.items() if not targets]:
        for name in free:
            del left[name]
        for targets in left.values():
            targets -= set(free)
    assert not left, f"in circles or behind them: {sorted(left)}"


def is_package(name):
    return MODULES[name].name == "__init__.py"


def test_inside_things_are_imported_from_where_they_are():
    # What a package exports is for users; a second path for the same thing hides where it lives.
    exporting = {name for name in MODULES if is_package(name) and stub(name).exists()}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in exporting:
                names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in MODULES}
                assert names <= {"__version__"}, f"{path}: {names} of {node.module}"


def stub(package):
    return MODULES[package].with_suffix(".pyi")


def test_no_folder_of_code_has_too_many_files():
    count = Counter(path.parent for path in FILES)
    assert not {str(folder): number for folder, number in count.items() if number > MOST_FILES}


LIGHT = ("table", "settings", "search_settings", "presets", "arguments", "models")


@pytest.mark.parametrize("module", [name for name in MODULES if name.rsplit(".", 1)[-1] in LIGHT])
def test_tables_and_settings_are_light(module):
    slow = {"torch", "numba", "scipy"}
    if not module.endswith(".settings") or not module.startswith("benchmarks"):  # those look at files
        slow |= {"numpy", "cv2"}
    code = f"import sys, {module}; print(sorted({slow} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("package", [name for name in MODULES if is_package(name) and stub(name).exists()])
def test_every_export_is_there(package):
    loaded = importlib.import_module(package)
    assert loaded.__all__
    for name in loaded.__all__:
        assert getattr(loaded, name) is not None
    assert set(loaded.__all__) <= set(dir(loaded))
