"""See that a long video that is killed goes on with the same bytes, in flat memory, and how fast it is.

`python examples/long_video.py WORK` makes a video of 300 frames of 640x480 in the folder WORK, runs
`patchbatch-flow` over it once without and once with three kills, compares every file, and prints memory and
times. `--frames` and `--size` make it shorter; other options go to `patchbatch-flow`.
"""

import argparse
import hashlib
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from flow.pipeline import estimate_flow
from flow.sequences.video import Video, film
from flow.synthetic import fractal_texture
from patchbatch.models import load_descriptor

KILLS = 3


def make_video(path: Path, frames: int, width: int, height: int) -> None:
    """Draw two textured planes that move over each other; one frame is held at a time."""
    rng = np.random.default_rng(0)
    far, near = fractal_texture(2 * height, 2 * width, rng), fractal_texture(height // 2, width // 2, rng)
    with film(path, 25.0) as show:
        for number in range(frames):
            x, y = 0.4 * width * np.sin(number / 40), 0.4 * height * np.sin(number / 55)
            back = np.array([[1, 0, x - width / 2], [0, 1, y - height / 2]], np.float64)
            front = np.array([[1, 0, width / 4 - x / 2], [0, 1, height / 4 - y / 2]], np.float64)
            picture = cv2.warpAffine(far, back, (width, height))
            cv2.warpAffine(near, front, (width, height), picture, borderMode=cv2.BORDER_TRANSPARENT)
            show(np.rint(255 * picture).astype(np.uint8))


def run(video: Path, folder: Path, options: list[str], kill_at: int | None = None) -> list[float]:
    """Run the command, killed when so many pairs are there; return its memory in MB, every half second."""
    command = [sys.executable, "-m", "flow.cli", str(video), "-o", str(folder), "--quiet", *options]
    memory, process = [], subprocess.Popen(command)  # noqa: S603 - this program's own command
    while process.poll() is None:
        time.sleep(0.5)
        if kill_at is not None and done(folder) >= kill_at:
            process.kill()
        status = Path(f"/proc/{process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        memory += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")]
    if kill_at is None and process.returncode:
        sys.exit(process.returncode)
    return memory


def done(folder: Path) -> int:
    """Return how many pairs are there."""
    journal = folder / "pairs.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def hashes(folder: Path) -> dict[str, str]:
    """Return the content of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def seconds_of_pairs(video: Path, count: int) -> float:
    """Return the median time of single pairs of the video, in one process, the first one left out."""
    net, times = load_descriptor(), []
    for pair in Video(video).pairs():
        start = time.perf_counter()
        estimate_flow(pair.first.pixels, pair.second.pixels, net)
        times.append(time.perf_counter() - start)
        if len(times) > count:
            break
    return statistics.median(times[1:])


def seconds_of_frames(folder: Path) -> float:
    """Return the median time from one flow file to the next."""
    written = sorted(path.stat().st_mtime for path in (folder / "flow").iterdir())
    return statistics.median(np.diff(written).tolist())


def main() -> int:
    """Do it, and return 0 if the bytes are the same."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path, help="folder that is made, for everything")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="640x480", help="width x height (640x480)")
    parser.add_argument(
        "--time-pairs", type=int, default=5, metavar="N", help="single pairs to time; 0: none"
    )
    arguments, options = parser.parse_known_args()
    width, height = map(int, arguments.size.split("x"))
    arguments.work.mkdir(parents=True)
    video, whole, killed = (arguments.work / name for name in ("video.mp4", "whole", "killed"))
    make_video(video, arguments.frames, width, height)
    memory = run(video, whole, options)
    quarter = max(1, len(memory) // 4)
    peaks = [max(memory[first : first + quarter]) for first in range(0, 4 * quarter, quarter)]
    print(f"memory: at most {', '.join(f'{peak:.0f}' for peak in peaks)} MB in the quarters of the run")
    pairs = arguments.frames - 1
    for kill in range(1, KILLS + 1):
        run(video, killed, options, kill_at=pairs * kill // (KILLS + 1))
        print(f"killed with {done(killed)} of {pairs} pairs there")
    run(video, killed, options)
    first, second = hashes(whole), hashes(killed)
    same = first == second
    print(f"{len(first)} files, {'the same bytes' if same else 'NOT the same bytes'} after {KILLS} kills")
    if arguments.time_pairs and not options:
        one, next_one = seconds_of_pairs(video, arguments.time_pairs), seconds_of_frames(whole)
        print(f"a pair {one:.2f} s, a frame of the video {next_one:.2f} s: {next_one / one:.2f}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
