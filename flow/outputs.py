"""What `patchbatch-flow` writes and prints."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flow.pictures.arrows import arrow_picture
from flow.pictures.errors import error_picture
from flow.pictures.fields import flow_picture
from flow.pictures.shares import MATCHES_PX, OCCLUSION_ENDS, share_picture
from flow.pictures.stages import STAGE_FILES, save_stages
from flow.synthetic import demo_scene
from patchbatch.data.files import atomic_path, check_overwriting
from patchbatch.data.formats import FLOW_SUFFIXES, write_flow
from patchbatch.data.images import write_image
from patchbatch.data.matches_io import write_matches
from patchbatch.data.pfm import write_pfm
from patchbatch.errors import PatchBatchError, cause

if TYPE_CHECKING:
    from flow.results.result import Field, FlowResult
    from patchbatch.data.given.images import Image

PICTURES = (".png", ".jpg", ".jpeg", ".ppm", ".tif", ".tiff", ".bmp")
MAPS = (".pfm", ".npy", *PICTURES)
# Longer names of files would make the captions of pictures longer than the pictures are wide.
LONGEST_NAME = 36
# The closing line counts pixels whose confidence is above this as sure, and names so many files one by one.
SURE = 0.9
# Full colour in the demonstration's pictures: its longest true motion.
DEMO_RADIUS_PX = 39.0
NAMED_FILES = 4


def check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written, before anything is computed.

    Raises
    ------
    PatchBatchError
        When a folder does not exist, a suffix is not understood, or an output would overwrite an input or
        another output.
    """
    try:
        for option, folder in (("--save-stages", arguments.save_stages), ("--demo", arguments.demo)):
            if folder is not None and folder.exists() and not folder.is_dir():
                raise PatchBatchError(f"{folder} is a file; give {option} a folder")
        for path, option, suffixes in _wanted(arguments):
            _check(path, suffixes, option, arguments.demo)
        if arguments.demo is not None:
            _check_demo(arguments.demo)
        _check_overwriting(arguments)
    except OSError as error:  # such as a name that is too long
        raise PatchBatchError(f"{error.filename} is no usable name ({cause(error)})") from error


def _check_demo(folder: Path) -> None:
    """Refuse a folder with files of those names that no demonstration made."""
    *frames, truth = demo_frames(folder)
    there = next((frame for frame in frames if frame.exists()), None)
    if there is not None and not truth.exists():
        raise PatchBatchError(f"--demo would overwrite {there}, which is not its own; choose another folder")


def _wanted(arguments: argparse.Namespace) -> list[tuple[Path, str, tuple[str, ...] | None]]:
    """List the files that are asked for, with their option and the suffixes that it writes."""
    single: tuple[tuple[Path | None, str, tuple[str, ...] | None], ...] = (
        (arguments.color, "--color", PICTURES),
        (arguments.arrows, "--arrows", PICTURES),
        (arguments.error_map, "--error-map", PICTURES),
        (arguments.confidence, "--confidence", MAPS),
        (arguments.occlusion, "--occlusion", MAPS),
        (arguments.matches, "--matches", None),
    )
    flows = [(path, "-o", FLOW_SUFFIXES) for path in arguments.output]
    return [*flows, *((path, option, suffixes) for path, option, suffixes in single if path is not None)]


def _made_beside(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """List the files that options with a folder write, with their option."""
    files = []
    if arguments.save_stages is not None:
        files += [("--save-stages", arguments.save_stages / name) for name in STAGE_FILES]
    if arguments.demo is not None:
        files += [("--demo", path) for path in demo_truths(arguments.demo)]
    return files


def _check_overwriting(arguments: argparse.Namespace) -> None:
    reads = [
        *(("IMG", image) for image in arguments.images), ("--gt", arguments.gt), ("--edges", arguments.edges),
        ("--matches-in", arguments.matches_in), ("--initial-flow", arguments.initial_flow),
        ("--settings", arguments.settings), ("--model", arguments.model),
        ("--edge-network", arguments.edge_network),
    ]  # fmt: skip
    named = [(option, path) for path, option, _ in _wanted(arguments)]
    check_overwriting(reads, [*named, *_made_beside(arguments)])


def _check(path: Path, suffixes: tuple[str, ...] | None, option: str, made: Path | None) -> None:
    """Check one file; `made` is a folder that need not be there yet."""
    if made is not None and path.parent == made and not made.exists():
        return
    if not path.parent.is_dir():
        raise PatchBatchError(
            f"{path}: folder {path.parent} does not exist; create it or choose another {option}"
        )
    if path.is_dir():
        raise PatchBatchError(f"{path} is a folder; give {option} a file name")
    if suffixes is not None and path.suffix.lower() not in suffixes:
        known = ", ".join(suffixes)
        raise PatchBatchError(f"{path}: {option} does not write '{path.suffix}' files; use {known}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PatchBatchError(f"{path} cannot be written; choose another {option}")


def shows_confidence(arguments: argparse.Namespace) -> bool:
    """Whether a file that is written has the confidence in it."""
    in_flow = any(path.suffix.lower() == ".npz" for path in arguments.output)
    return bool(in_flow or arguments.confidence or arguments.matches or arguments.save_stages)


@contextmanager
def made_folders(arguments: argparse.Namespace) -> Iterator[None]:
    """Make the folders of `--demo` and `--save-stages`; one that stays empty when the block fails is removed.

    Raises
    ------
    PatchBatchError
        When a folder cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in (arguments.demo, arguments.save_stages):
            if folder is not None and not folder.exists():
                made.append(_make_folder(folder))
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir()
    except OSError as error:
        raise PatchBatchError(f"cannot make the folder {folder} ({cause(error)}); choose another") from error
    return folder


def demo_frames(folder: Path) -> list[Path]:
    """Return where the demonstration's two frames and their true flow go."""
    return [folder / "frame1.png", folder / "frame2.png", folder / "truth.flo"]


def demo_truths(folder: Path) -> list[Path]:
    """Return where the demonstration's picture of the true flow goes."""
    return [folder / "truth.png"]


def write_demo_frames(folder: Path, radius: float | None, legend: bool) -> None:
    """Render the demonstration's frames and true flow into a folder, and the picture of the flow."""
    scene = demo_scene()
    frame1, frame2, truth = demo_frames(folder)
    write_image(frame1, to_bytes(scene.image1))
    write_image(frame2, to_bytes(scene.image2))
    write_flow(truth, scene.flow)
    caption = "the true motion from frame1.png to frame2.png" if legend else None
    (picture,) = demo_truths(folder)
    write_image(picture, flow_picture(scene.flow, None, radius, legend=legend, caption=caption))


def to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round an image in [0, 1] to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def write_all(
    arguments: argparse.Namespace, result: FlowResult, image: Image, truth: Field | None
) -> list[Path]:
    """Write every file the command line asks for; return their paths.

    Parameters
    ----------
    arguments
        Of the command line.
    result
        What was estimated.
    image
        Image 1, float in [0, 1].
    truth
        What `--gt` holds.
    """
    written = []
    for path in arguments.output:
        write_flow(path, result.flow, result.valid, result.confidence)
        written.append(path)
    for path, picture in pictures(arguments, result, image, truth):
        write_image(path, picture)
        written.append(path)
    if arguments.matches:
        matches = result.matches
        write_matches(arguments.matches, matches.points1, matches.points2, matches.confidence)
        written.append(arguments.matches)
    for path, values in ((arguments.confidence, result.confidence), (arguments.occlusion, result.occluded)):
        if path and values is not None and path.suffix.lower() not in PICTURES:
            write_map(path, values)
            written.append(path)
    if arguments.save_stages:
        written += save_stages(arguments.save_stages, result, legend=not arguments.no_legend)
    return written


def pictures(
    arguments: argparse.Namespace, result: FlowResult, image: Image, truth: Field | None
) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Yield the pictures that are asked for, with their paths; as `write_all` takes what they show."""
    legend = not arguments.no_legend
    names = [_short(name) for name in arguments.images]

    def told(words: str) -> dict[str, Any]:
        return {"legend": legend, "caption": words if legend else None}

    moved = told(f"motion from {names[0]} to {names[1]}")
    if arguments.color:
        yield arguments.color, flow_picture(result.flow, result.valid, arguments.max_radius, **moved)
    if arguments.arrows:
        yield arguments.arrows, arrow_picture(image, result.flow, result.valid, **moved)
    if arguments.error_map and truth is not None:
        words = told(f"{score_line(result, truth, arguments.gt).partition(', on ')[0]}")
        yield arguments.error_map, error_picture(result.flow, truth[0], truth[1] & result.valid, **words)
    if arguments.confidence and arguments.confidence.suffix.lower() in PICTURES:
        sure = "probability that the motion is right within 3 px" if result.calibrated else "higher is surer"
        words = told(f"confidence: {sure}")
        yield (
            arguments.confidence,
            share_picture(result.confidence, result.valid, smooth_px=MATCHES_PX, **words),
        )
    if arguments.occlusion and result.occluded is not None and arguments.occlusion.suffix.lower() in PICTURES:
        words = told(f"what {names[0]} shows and {names[1]} does not: hidden, or out of the frame")
        yield arguments.occlusion, share_picture(result.occluded, None, OCCLUSION_ENDS, **words)


def _short(path: str | Path) -> str:
    """Return the name of a file, without the middle of a long one."""
    name = Path(path).name
    return name if len(name) <= LONGEST_NAME else f"{name[:16]}...{name[-16:]}"


def write_map(path: Path, values: NDArray[np.float32]) -> None:
    """Write a map `(H, W)` in [0, 1], such as a confidence, as numbers: .pfm or .npy."""
    if path.suffix.lower() == ".pfm":
        write_pfm(path, values)
    else:
        with atomic_path(path) as part, part.open("wb") as file:
            np.save(file, values)


def check_truth(truth: Field, shape: tuple[int, ...], truth_file: Path) -> None:
    """Refuse a true flow of another size than the images `(H, W)`, or without any value.

    Raises
    ------
    PatchBatchError
        Names `truth_file`.
    """
    flow, known = truth
    if known.shape != shape:
        raise PatchBatchError(
            f"{truth_file} is {flow.shape[1]}x{flow.shape[0]} but the images are "
            f"{shape[1]}x{shape[0]}; it belongs to another pair"
        )
    if not known.any():
        raise PatchBatchError(f"{truth_file} has no known pixel; nothing can be scored")


def score_line(result: FlowResult, truth: Field, truth_file: Path) -> str:
    """Compare a result with a true flow, see `error_line`."""
    return error_line(result.flow, result.valid, truth, truth_file)


def error_line(
    flow: NDArray[np.float32], valid: NDArray[np.bool_], truth: Field, truth_file: Path
) -> str:  # fmt: skip
    """Compare with a true flow: end-point error, share beyond 3 px, and KITTI's Fl, on pixels valid in both.

    No pixel in common (a sparse field, a sparse truth) is said so.
    """
    target, known = truth
    both = known & valid
    if not both.any():
        return f"no score: {truth_file} and the result have no pixel in common"
    error = np.hypot(*np.moveaxis(flow - target, -1, 0))[both]
    length = np.hypot(*np.moveaxis(target, -1, 0))[both]
    outlier = (error > 3) & (error > 0.05 * length)
    return (
        f"end-point error {error.mean():.3f} px (median {np.median(error):.3f}), "
        f"> 3 px {100 * (error > 3).mean():.2f} %, "
        f"Fl {100 * outlier.mean():.2f} %, on {100 * both.sum() / known.sum():.1f} % of the known pixels"
    )


def closing_line(arguments: argparse.Namespace, result: FlowResult, written: list[Path]) -> str:
    """Say how many matches were found, how much of the image is sure, and where the files are.

    Examples
    --------
    2013 matches; 97 % of a.png is sure (confidence over 0.9); wrote a_flow.flo, a_flow.png
    """
    said = []
    if arguments.initial_flow is None:
        said.append(f"{len(result.matches)} matches")
        sure = 100 * (result.confidence > SURE).mean()
        said.append(f"{sure:.0f} % of {_short(arguments.images[0])} is sure (confidence over {SURE:g})")
    named = [path for path in written if path.parent != arguments.save_stages]
    inside = len(written) - len(named)
    if arguments.demo is not None and len(named) > NAMED_FILES:
        files = [f"{len(named)} files in {arguments.demo}"]
    else:
        files = [str(path) for path in named]
    if inside:
        files.append(f"{inside} files in {arguments.save_stages}")
    return "; ".join([*said, f"wrote {', '.join(files)}"])


def explain(result: FlowResult) -> str:
    """Tell time, arithmetic and memory of each stage as a table.

    GFLOP counts the products of the network, the joining of scales included, and those of matching, without
    the candidates it compares one by one; the other stages have no fixed amount and show a dash.
    """
    lines = [f"{'stage':<12}{'seconds':>9}{'GFLOP':>9}{'GFLOP/s':>9}{'peak MB':>9}"]
    for name, cost in result.costs.items():
        work, rate = "-", "-"
        if cost.gflop is not None:
            work, rate = f"{cost.gflop:.0f}", f"{cost.gflop / max(cost.seconds, 1e-9):.0f}"
        lines.append(f"{name:<12}{cost.seconds:>9.2f}{work:>9}{rate:>9}{cost.peak_mb:>9.0f}")
    peak = max((cost.peak_mb for cost in result.costs.values()), default=0.0)
    lines.append(f"{'total':<12}{result.seconds['total']:>9.2f}{'':>18}{peak:>9.0f}")
    return "\n".join(lines)
