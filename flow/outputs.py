"""What `patchbatch-flow` writes and prints."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flow.pipeline import Field, FlowResult
from flow.synthetic import demo_scene
from flow.visualize import confidence_to_image, flow_to_color, kitti_error_map, matches_to_color
from patchbatch.data.files import atomic_path
from patchbatch.data.formats import FLOW_SUFFIXES, write_flow, write_pfm
from patchbatch.data.images import write_image
from patchbatch.data.matches_io import write_matches
from patchbatch.errors import PatchBatchError

PICTURES = (".png", ".jpg", ".jpeg", ".ppm", ".tif", ".tiff", ".bmp")


def check_folders(arguments: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written before anything is computed.

    Raises
    ------
    PatchBatchError
        When a folder does not exist or a suffix is not understood.
    """
    for path in arguments.output:
        _check(path, FLOW_SUFFIXES, "-o")
    for path, option, suffixes in (
        (arguments.color, "--color", PICTURES),
        (arguments.confidence, "--confidence", (".pfm", *PICTURES)),
        (arguments.matches, "--matches", None),
    ):
        if path is not None:
            _check(path, suffixes, option)
    if arguments.save_stages is not None:
        make_folder(arguments.save_stages)


def _check(path: Path, suffixes: tuple[str, ...] | None, option: str) -> None:
    if not path.parent.is_dir():
        raise PatchBatchError(
            f"{path}: folder {path.parent} does not exist; create it or choose another {option}"
        )
    if path.is_dir():
        raise PatchBatchError(f"{path} is a folder; give {option} a file name")
    if suffixes is not None and path.suffix.lower() not in suffixes:
        known = ", ".join(suffixes)
        raise PatchBatchError(f"{path}: {option} does not write '{path.suffix}' files; use {known}")


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
        write_confidence(arguments.confidence, result.confidence)
        written.append(arguments.confidence)
    if arguments.save_stages:
        written += save_stages(arguments.save_stages, result)
    return written


def write_confidence(path: Path, confidence: NDArray[np.float32]) -> None:
    """Write a confidence map as numbers (.pfm) or as a grey picture."""
    if path.suffix.lower() == ".pfm":
        write_pfm(path, confidence)
    else:
        write_image(path, confidence_to_image(confidence))


def save_stages(folder: Path, result: FlowResult) -> list[Path]:
    """Write what each stage made; the pictures of all fields share one colour scale.

    `1-descriptors.png` shows the three strongest directions of the descriptors of image 1 as red, green and
    blue, `1-descriptors.npy` holds every 4th pixel's descriptor as float16. Then `2-matches` (.txt, .png),
    `3-interpolated` and `4-refined` (.flo, .png each), and `confidence` (.pfm, .png).
    """
    radius = float(np.hypot(*np.moveaxis(result.flow, -1, 0)).max()) or None
    written = []
    if result.descriptors is not None:
        written += _save_descriptors(folder, result.descriptors)
    matches = result.matches
    write_matches(folder / "2-matches.txt", matches.points1, matches.points2, matches.confidence)
    picture = matches_to_color(matches.points1, matches.vectors, result.valid.shape, radius)
    write_image(folder / "2-matches.png", picture)
    written += [folder / "2-matches.txt", folder / "2-matches.png"]
    for number, name in enumerate(("interpolated", "refined"), start=3):
        if name in result.stages:
            flow, valid = result.stages[name]
            write_flow(folder / f"{number}-{name}.flo", flow, valid)
            write_image(folder / f"{number}-{name}.png", flow_to_color(flow, valid, radius))
            written += [folder / f"{number}-{name}.flo", folder / f"{number}-{name}.png"]
    for suffix in (".pfm", ".png"):
        write_confidence(folder / f"confidence{suffix}", result.confidence)
        written.append(folder / f"confidence{suffix}")
    return written


def _save_descriptors(folder: Path, descriptors: torch.Tensor) -> list[Path]:
    numbers, picture = folder / "1-descriptors.npy", folder / "1-descriptors.png"
    with atomic_path(numbers) as part:
        np.save(part, descriptors[::4, ::4].to(torch.float16).cpu().numpy())
    write_image(picture, descriptors_to_color(descriptors))
    return [numbers, picture]


def descriptors_to_color(descriptors: torch.Tensor) -> NDArray[np.uint8]:
    """Show `(H, W, D)` descriptors by their three principal directions, `(H, W, 3)` uint8 RGB."""
    sample = descriptors[::4, ::4].reshape(-1, descriptors.shape[2]).float()
    mean = sample.mean(dim=0)
    directions = torch.linalg.eigh((sample - mean).T @ (sample - mean)).eigenvectors[:, -3:].flip(1)
    # The sign of an eigenvector is arbitrary; fix it, so that the same image gives the same picture.
    directions = directions * torch.sign(directions.sum(dim=0)).where(directions.sum(dim=0) != 0, 1.0)
    shown = (descriptors.to(sample.dtype) - mean) @ directions
    spread = shown.std(dim=(0, 1), unbiased=False).clamp(min=1e-6)
    return to_bytes((0.5 + shown / (5 * spread)).cpu().numpy())


def score_line(result: FlowResult, truth: Field, truth_file: Path) -> str:
    """Compare with a true flow: end-point error, share beyond 3 px, and KITTI's Fl, on pixels valid in both.

    Raises
    ------
    PatchBatchError
        When it has another size, or no pixel can be compared; `truth_file` is named.
    """
    flow, known = truth
    if flow.shape != result.flow.shape:
        raise PatchBatchError(
            f"{truth_file} is {flow.shape[1]}x{flow.shape[0]} but the images are "
            f"{result.flow.shape[1]}x{result.flow.shape[0]}; it belongs to another pair"
        )
    both = known & result.valid
    if not both.any():
        raise PatchBatchError(f"{truth_file} and the result have no pixel in common; nothing can be scored")
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
    peak = max(cost.peak_mb for cost in result.costs.values())
    lines.append(f"{'total':<12}{result.seconds['total']:>9.2f}{'':>18}{peak:>9.0f}")
    return "\n".join(lines)
