"""What `patchbatch-flow` writes and prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flow.synthetic import demo_scene
from flow.visualize import confidence_to_image, flow_to_color, kitti_error_map, matches_to_color
from patchbatch.data.files import atomic_path, check_overwriting
from patchbatch.data.formats import FLOW_SUFFIXES, fits_kitti, write_flow
from patchbatch.data.images import write_image
from patchbatch.data.matches_io import write_matches
from patchbatch.data.pfm import write_pfm
from patchbatch.errors import PatchBatchError

if TYPE_CHECKING:
    import torch

    from flow.results.result import Field, FlowResult

# What `save_stages` may write.
STAGE_FILES = (
    "1-descriptors.npy", "1-descriptors.png", "2-matches.txt", "2-matches.png", "3-initial.flo",
    "3-initial.png", "3-interpolated.flo", "3-interpolated.png", "4-chosen.flo", "4-chosen.png",
    "5-refined.flo", "5-refined.png",
    "confidence.pfm", "confidence.png",
)  # fmt: skip
PICTURES = (".png", ".jpg", ".jpeg", ".ppm", ".tif", ".tiff", ".bmp")
MAPS = (".pfm", ".npy", *PICTURES)


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
        raise PatchBatchError(f"{error.filename} is no usable name ({error.strerror})") from error


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
        files.append(("--demo", arguments.demo / "error.png"))
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


def make_folder(folder: Path) -> None:
    """Create a folder in an existing one.

    Raises
    ------
    PatchBatchError
        When that is not possible.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise PatchBatchError(
            f"cannot make the folder {folder} ({error.strerror}); choose another"
        ) from error


def demo_frames(folder: Path) -> list[Path]:
    """Return where the demonstration's two frames and their true flow go."""
    return [folder / "frame1.png", folder / "frame2.png", folder / "truth.flo"]


def write_demo_frames(folder: Path) -> None:
    """Render the demonstration's frames and true flow into a folder."""
    scene = demo_scene()
    frame1, frame2, truth = demo_frames(folder)
    write_image(frame1, to_bytes(scene.image1))
    write_image(frame2, to_bytes(scene.image2))
    write_flow(truth, scene.flow)


def to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round an image in [0, 1] to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def lost_lines(arguments: argparse.Namespace, result: FlowResult) -> list[str]:
    """Return a line for every flow file whose format cannot hold all of the flow."""
    lost = int(np.count_nonzero(result.valid & ~fits_kitti(result.flow)))
    files = [path for path in arguments.output if path.suffix.lower() == ".png"] if lost else []
    return [
        f"note: {path} has no place for motion beyond 512 px: {lost} pixels are not valid in it; "
        ".flo, .pfm and .npz hold them"
        for path in files
    ]


def write_all(arguments: argparse.Namespace, result: FlowResult) -> list[Path]:
    """Write every file the command line asks for; return their paths."""
    written = []
    for path in arguments.output:
        write_flow(path, result.flow, result.valid, result.confidence)
        written.append(path)
    if arguments.color:
        write_image(arguments.color, flow_to_color(result.flow, result.valid, arguments.max_radius))
        written.append(arguments.color)
    if arguments.matches:
        matches = result.matches
        write_matches(arguments.matches, matches.points1, matches.points2, matches.confidence)
        written.append(arguments.matches)
    if arguments.confidence:
        write_map(arguments.confidence, result.confidence)
        written.append(arguments.confidence)
    if arguments.occlusion and result.occluded is not None:
        write_map(arguments.occlusion, result.occluded)
        written.append(arguments.occlusion)
    if arguments.save_stages:
        written += save_stages(arguments.save_stages, result)
    return written


def write_map(path: Path, values: NDArray[np.float32]) -> None:
    """Write a map `(H, W)` in [0, 1], such as a confidence, as numbers (.pfm, .npy) or as a grey picture."""
    if path.suffix.lower() == ".pfm":
        write_pfm(path, values)
    elif path.suffix.lower() == ".npy":
        with atomic_path(path) as part, part.open("wb") as file:
            np.save(file, values)
    else:
        write_image(path, confidence_to_image(values))


def save_stages(folder: Path, result: FlowResult) -> list[Path]:
    """Write what each stage made; the pictures of all fields share one colour scale.

    `1-descriptors.png` shows the three strongest directions of the descriptors of image 1 as red, green and
    blue, `1-descriptors.npy` holds every 4th pixel's descriptor as float16. Then `2-matches` (.txt, .png),
    `3-interpolated` (or `3-initial`), `4-chosen` and `5-refined` (.flo, .png each), and
    `confidence` (.pfm, .png).
    """
    radius = float(np.hypot(*np.moveaxis(result.flow, -1, 0)).max()) or None
    for name in STAGE_FILES:  # of an earlier run, which may have had other stages
        (folder / name).unlink(missing_ok=True)
    written = []
    if result.descriptors is not None:
        written += _save_descriptors(folder, result.descriptors)
    if "matches" in result.stages:
        written += _save_matches(folder, result, radius)
    for number, name in ((3, "initial"), (3, "interpolated"), (4, "chosen"), (5, "refined")):
        if name in result.stages:
            flow, valid = result.stages[name]
            write_flow(folder / f"{number}-{name}.flo", flow, valid)
            write_image(folder / f"{number}-{name}.png", flow_to_color(flow, valid, radius))
            written += [folder / f"{number}-{name}.flo", folder / f"{number}-{name}.png"]
    for suffix in (".pfm", ".png"):
        write_map(folder / f"confidence{suffix}", result.confidence)
        written.append(folder / f"confidence{suffix}")
    return written


def _save_matches(folder: Path, result: FlowResult, radius: float | None) -> list[Path]:
    text, picture, matches = folder / "2-matches.txt", folder / "2-matches.png", result.matches
    write_matches(text, matches.points1, matches.points2, matches.confidence)
    write_image(picture, matches_to_color(matches.points1, matches.vectors, result.valid.shape, radius))
    return [text, picture]


def _save_descriptors(folder: Path, descriptors: torch.Tensor) -> list[Path]:
    import torch  # noqa: PLC0415 - whoever has descriptors has imported it

    numbers, picture = folder / "1-descriptors.npy", folder / "1-descriptors.png"
    with atomic_path(numbers) as part:
        np.save(part, descriptors[::4, ::4].to(torch.float16).cpu().numpy())
    write_image(picture, descriptors_to_color(descriptors))
    return [numbers, picture]


def descriptors_to_color(descriptors: torch.Tensor) -> NDArray[np.uint8]:
    """Show `(H, W, D)` descriptors by their three principal directions, `(H, W, 3)` uint8 RGB."""
    import torch  # noqa: PLC0415 - whoever has descriptors has imported it

    sample = descriptors[::4, ::4].reshape(-1, descriptors.shape[2]).float()
    mean = sample.mean(dim=0)
    directions = torch.linalg.eigh((sample - mean).T @ (sample - mean)).eigenvectors[:, -3:].flip(1)
    # The sign of an eigenvector is arbitrary; fix it, so that the same image gives the same picture.
    directions = directions * torch.sign(directions.sum(dim=0)).where(directions.sum(dim=0) != 0, 1.0)
    shown = (descriptors.to(sample.dtype) - mean) @ directions
    spread = shown.std(dim=(0, 1), unbiased=False).clamp(min=1e-6)
    return to_bytes((0.5 + shown / (5 * spread)).cpu().numpy())


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
    """Compare with a true flow: end-point error, share beyond 3 px, and KITTI's Fl, on pixels valid in both.

    No pixel in common (a sparse field, a sparse truth) is said so.
    """
    flow, known = truth
    both = known & result.valid
    if not both.any():
        return f"no score: {truth_file} and the result have no pixel in common"
    error = np.hypot(*np.moveaxis(result.flow - flow, -1, 0))[both]
    length = np.hypot(*np.moveaxis(flow, -1, 0))[both]
    outlier = (error > 3) & (error > 0.05 * length)
    return (
        f"end-point error {error.mean():.3f} px (median {np.median(error):.3f}), "
        f"> 3 px {100 * (error > 3).mean():.2f} %, "
        f"Fl {100 * outlier.mean():.2f} %, on {100 * both.sum() / known.sum():.1f} % of the known pixels"
    )


def write_error_map(path: Path, result: FlowResult, truth: Field) -> Path:
    """Write the KITTI error map (blue good, red bad) of a result; return its path."""
    flow, known = truth
    write_image(path, kitti_error_map(result.flow, flow, known & result.valid))
    return path


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
