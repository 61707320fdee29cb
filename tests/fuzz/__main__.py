"""Fuzz the readers, guided by coverage: `python -m tests.fuzz --seconds 60 [READER ...]`.

Needs Atheris (`pip install -e '.[fuzz]'`), Linux. Starts from the committed corpus; files that are found on
the way go to a folder of their own and are thrown away, those that make a reader fail are kept in
`fuzz-findings/`.
`.ci/run` takes a few seconds for each reader; before a release `--seconds 600`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.readers import READERS

CORPUS, FINDINGS = Path(__file__).resolve().parent / "corpus", Path("fuzz-findings")
MOST_MEGABYTES = 1000


def fuzz(name: str, seconds: int) -> int:
    """Fuzz one reader; return the exit status of libFuzzer."""
    with tempfile.TemporaryDirectory() as found:
        words = [
            f"-max_total_time={seconds}", f"-rss_limit_mb={MOST_MEGABYTES}", "-timeout=10", "-max_len=66000",
            f"-artifact_prefix={FINDINGS}/{name}-", "-print_final_stats=1", "-verbosity=1",
        ]  # fmt: skip
        command = [sys.executable, "-m", "tests.fuzz.one", name, *words, found, str(CORPUS / name)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    lines = done.stdout.splitlines()
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    peak = next((line.split()[-1] for line in lines if "peak_rss_mb" in line), "?")
    print(f"{name:<12} {runs:>9} files in {seconds} s, at most {peak} MB: ", end="")
    print("nothing found" if done.returncode == 0 else "FAILED", flush=True)
    if done.returncode:
        print("\n".join(lines[-60:]), flush=True)
    return done.returncode


def main() -> int:
    """Fuzz what is named, or all; return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)} (all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (%(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.readers) - set(READERS)
    if unknown:
        parser.error(f"no reader {', '.join(sorted(unknown))}")
    FINDINGS.mkdir(exist_ok=True)
    results = [fuzz(name, arguments.seconds) for name in arguments.readers or READERS]
    if not any(FINDINGS.iterdir()):
        FINDINGS.rmdir()
    return int(any(results))


if __name__ == "__main__":
    sys.exit(main())
