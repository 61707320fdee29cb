"""How commands end: one line for whatever goes wrong, in all of them."""

import argparse
import importlib
import logging
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from patchbatch import commands, program
from patchbatch.errors import PatchBatchError

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "patchbatch-flow": "flow.cli",
    "benchmarks": "benchmarks.__main__",
    "patchbatch.transfer.train_images": "patchbatch.transfer.train_images.command",
    "patchbatch-export": "patchbatch.descriptors.export.command",
    "patchbatch-verify": "patchbatch.transfer.cli",
    "patchbatch.descriptors.train": "patchbatch.descriptors.train.command",
    "flow.completion.train": "flow.completion.train.command",
    "flow.edges.train": "flow.edges.train.command",
}
WORDS = {
    "patchbatch-flow": ["a.png", "b.png"],
    "benchmarks": ["flow", "chairs", "."],
    "patchbatch.transfer.train_images": ["--data", "x", "--output", "out"],
    "patchbatch-export": ["compact", "out.onnx"],
    "patchbatch-verify": ["x.npy"],
    "patchbatch.descriptors.train": ["--photos", ".", "--output", "out"],
    "flow.completion.train": [
        "--photos",
        ".",
        "--frames",
        ".",
        "--cache",
        "x",
        "--output",
        "out.safetensors",
    ],
    "flow.edges.train": ["--data", ".", "--output", "out.safetensors"],
}


def end(error, *, debug=False, stopped=""):
    def work():
        raise error

    return program.run("name", work, argparse.Namespace(threads=None, debug=debug), stopped)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PatchBatchError("a.png does not exist"), "a.png does not exist"),
        (PatchBatchError("two\nlines"), "two lines"),
        (OSError(28, "No space left on device", "out.flo"), "out.flo: the disk is full"),
        (OSError(28, "No space left on device"), "the disk is full"),
        (OSError("64 requested and 0 written"), "the disk is full"),
        (
            RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0"),
            "the disk is full",
        ),
        (OSError(27, "File too large", "a.npz"), "a.npz: files may not be as large here"),
        (PermissionError(13, "Permission denied", "a.png"), "a.png: Permission denied"),
        (
            ImportError("libtorch_cpu.so: cannot open shared object file"),
            "libtorch_cpu.so: cannot open shared object file; a part of the installation is missing or does "
            "not fit, install it again",
        ),
        (MemoryError(), "memory is short; use smaller images, or a machine with more"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            "memory is short; use smaller images, or a machine with more",
        ),
        (
            ValueError("bad\nshape"),
            "ValueError: bad shape; this is a fault of the program, --debug shows where",
        ),
    ],
)
def test_errors_are_one_line(error, line, capsys):
    assert end(error) == 1
    assert capsys.readouterr().err == f"name: {line}\n"
    with pytest.raises(type(error)):
        end(error, debug=True)


def test_ctrl_c_is_quiet(capsys):
    assert end(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")
    assert end(KeyboardInterrupt(), stopped="goes on") == 130
    assert capsys.readouterr() == ("", "goes on\n")


def test_status_of_the_work_is_passed_on():
    nothing = argparse.Namespace(threads=None, debug=False)
    assert program.run("name", lambda: None, nothing) == 0
    assert program.run("name", lambda: 3, nothing) == 3


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "error", ["MemoryError()", "OSError(5, 'Input/output error', 'some.file')", "ValueError('x')"]
)
def test_no_command_shows_a_traceback(name, error, tmp_path):
    """Whatever the work raises, wherever it comes up: here, when files are looked at."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import patchbatch.data.files\n"
        f"import {COMMANDS[name]} as command\n"
        f"def broken(*given, **named): raise {error}\n"
        "from patchbatch import program\n"
        "real = program.run\n"
        "program.run = lambda name, work, *rest: real(name, broken, *rest)\n"
        f"sys.exit(command.main({WORDS[name]!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (
        done.returncode == 1
        and done.stderr.count("\n") == 1
        and done.stderr.startswith(("error: ", "patchbatch-flow: ", "patchbatch-export: "))
    )
    assert not list(tmp_path.iterdir())


def test_a_closed_pipe_is_quiet():
    code = (
        "import argparse, sys\n"
        "from patchbatch import program\n"
        "def work():\n    for n in range(10**6): print(n)\n"
        "sys.exit(program.run('name', work, argparse.Namespace(threads=None, debug=False)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.parametrize("words", [["--threads", "0"], ["--threads", "-1"], ["--threads", "two"]])
def test_wrong_numbers_of_threads_are_wrong_usage(words, capsys):
    parser = argparse.ArgumentParser()
    program.add_common(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2 and "number of processors" in capsys.readouterr().err


def test_threads_are_set_and_wait_without_spinning():
    code = (
        "import argparse, os\n"
        "from patchbatch import program\n"
        "def work():\n"
        "    import torch\n"
        "    from patchbatch.threads import thread_count\n"
        "    print(torch.get_num_threads(), thread_count(), os.environ['OMP_WAIT_POLICY'])\n"
        "program.run('name', work, argparse.Namespace(threads=1, debug=True))\n"
    )
    known = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, policy in ({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=known | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["1", "1", policy]


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_usage_is_one_line_that_says_where_to_read_on(name, tmp_path):
    code = f"import sys; from {COMMANDS[name]} import main; sys.exit(main(sys.argv[1:]))"
    words = ["flow", "--nonsense"] if name == "benchmarks" else ["--nonsense"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.endswith(" --help\n")


SLOW_IMPORT = (
    "import sys, types, time\n"
    "from patchbatch.commands import begin\n"
    "class Slow:\n"
    "    def find_spec(self, name, *_):\n"
    "        if name == 'slow_command': print('now', flush=True); time.sleep(60)\n"
    "sys.meta_path.insert(0, Slow())\n"
    "sys.exit(begin('slow_command'))\n"
)


def test_ctrl_c_while_a_command_is_imported_is_quiet():
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == (b"", b"")
    assert process.wait() == 130


def test_ctrl_c_in_the_work_is_heard_and_runs_what_cleans_up():
    code = (
        "import sys, types, time, argparse\n"
        "from patchbatch import program\n"
        "from patchbatch.commands import begin\n"
        "def work():\n"
        "    try: print('now', flush=True); time.sleep(60)\n"
        "    finally: print('cleaned', flush=True)\n"
        "nothing = argparse.Namespace(threads=None, debug=False)\n"
        "command = types.ModuleType('command')\n"
        "command.main = lambda: program.run('name', work, nothing, 'goes on')\n"
        "sys.modules['command'] = command\n"
        "sys.exit(begin('command'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == (b"cleaned\n", b"goes on\n")
    assert process.wait() == 130


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_into_a_closed_pipe_is_quiet(word):
    begin = "from patchbatch.commands import flow; sys.exit(flow())"
    code = f"import sys; sys.argv = ['patchbatch-flow', '{word}']; {begin}"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode in (0, 141)  # argparse itself takes a closed pipe for done
    assert done.stderr == b""


def test_scripts_begin_where_ctrl_c_is_heard():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts and all(target.startswith("patchbatch.commands:") for target in scripts.values())
    for target in scripts.values():
        assert callable(getattr(commands, target.partition(":")[2]))


def test_what_libraries_of_ours_warn_of_is_a_note_of_the_command(capsys):
    def work():
        logging.getLogger("patchbatch.data.codecs").warning("a.gif has %d frames", 3)
        logging.getLogger("flow.pipeline").info("not this")

    for _ in range(2):
        assert program.run("name", work, argparse.Namespace(threads=None, debug=False)) == 0
        assert capsys.readouterr() == ("", "name: note: a.gif has 3 frames\n")


@pytest.mark.parametrize("megabytes", [400, 1100])
def test_a_limit_that_torch_cannot_live_with_is_said_before(megabytes):
    resource = pytest.importorskip("resource")
    code = "import sys; from flow.cli import main; sys.exit(main(['--warm-up']))"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20, megabytes * 2**20))

    done = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"patchbatch-flow: memory is limited to {megabytes} MB here (ulimit -v)")
    assert done.stderr.count("\n") == 1


def test_another_package_of_the_same_name_is_told_in_one_line(tmp_path):
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "__init__.py").write_text("")
    begin = "from patchbatch.commands import flow; sys.exit(flow())"
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; {begin}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"flow.cli is missing: another package named flow hides it ({tmp_path / 'flow'}); "
        "install patchbatch in an environment of its own\n"
    )


def test_outputs_of_every_command_spare_what_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").write_text("precious")
    words = {
        "benchmarks.__main__": [
            "flow",
            "chairs",
            ".",
            "--model",
            "mine.safetensors",
            "--json",
            "mine.safetensors",
        ],
        "patchbatch.transfer.cli": ["mine.safetensors", "--json", "./mine.safetensors"],
        "flow.edges.train.command": [
            "--data",
            ".",
            "--score",
            "mine.safetensors",
            "--json",
            "mine.safetensors",
        ],
    }
    for module, given in words.items():
        assert importlib.import_module(module).main(given) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        if module != "flow.edges.train.command":  # it looks for its images first
            assert "would overwrite the input of" in said
    assert Path("mine.safetensors").read_text() == "precious"
