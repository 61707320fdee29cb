"""The examples in the docstrings of the library give what they say, one test for each module."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROMPT = ">>> "
# Modules that cannot be imported everywhere, with what they need.
NEEDS = {"flow.matching.exact.triton_kernel": "triton"}


def modules_with_examples() -> list[str]:
    """Names of the modules with a prompt in their text, so that the others need not be imported."""
    files = [
        file for package in ("patchbatch", "flow", "benchmarks") for file in (ROOT / package).rglob("*.py")
    ]
    named = [file.relative_to(ROOT).with_suffix("") for file in sorted(files) if PROMPT in file.read_text()]
    return [".".join(name.parts).removesuffix(".__init__") for name in named]


def failures(tests: list[doctest.DocTest]) -> str:
    """What the examples gave instead; empty where they all ran and agree."""
    runner, report = doctest.DocTestRunner(), []
    for test in tests:
        runner.run(test, out=report.append)
    skipped = sum(len(test.examples) for test in tests) - runner.tries
    return "".join(report) + (f"{skipped} examples did not run" if skipped else "")


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_say(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} needs {NEEDS[name]}")
    module = importlib.import_module(name)
    tests = doctest.DocTestFinder().find(module)
    # The finder does not see into compiled and wrapped functions: their examples would never run.
    assert sum(len(test.examples) for test in tests) == Path(module.__file__).read_text().count(PROMPT)
    monkeypatch.chdir(tmp_path)  # some write files
    assert not failures(tests)


def test_a_wrong_example_and_a_skipped_one_are_seen():
    """And modules are found: a change of layout could leave none, with nothing to fail."""
    assert len(modules_with_examples()) > 20
    for text, seen in ((">>> 1\n2", "Got:\n    1"), (">>> 1  # doctest: +SKIP\n1", "1 examples did not run")):
        assert seen in failures([doctest.DocTestParser().get_doctest(text, {}, "made", None, 0)])
