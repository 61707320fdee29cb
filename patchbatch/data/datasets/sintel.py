"""How MPI Sintel lies on disk: every scene rendered twice, "clean" and "final", with one truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from patchbatch.data.datasets.trees import FlowPair, existing, first_folder, testing_folder


def clean_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs of the clean rendering in Sintel's folder."""
    return _pairs(base, "clean")


def final_pairs(base: Path) -> Iterator[FlowPair]:
    """List the pairs of the final rendering in Sintel's folder."""
    return _pairs(base, "final")


def clean_testing(base: Path) -> Iterator[FlowPair]:
    """List the pairs without truth of the clean rendering in Sintel's folder."""
    return _testing_pairs(base, "clean")


def final_testing(base: Path) -> Iterator[FlowPair]:
    """List the pairs without truth of the final rendering in Sintel's folder."""
    return _testing_pairs(base, "final")


def _testing_pairs(base: Path, rendering: str) -> Iterator[FlowPair]:
    test = testing_folder(base, "test")
    for frame in [] if test is None else (test / rendering).glob("*/frame_*.png"):
        scene, number = frame.parent.name, frame.stem.removeprefix("frame_")
        if number.isdecimal():
            # The last frame of a scene has no second one, so its pair is not complete.
            second = frame.with_name(f"frame_{int(number) + 1:04d}.png")
            yield FlowPair(f"sintel-{rendering}", f"{scene}/{frame.stem}", frame, second, None)


def _pairs(base: Path, rendering: str) -> Iterator[FlowPair]:
    training = first_folder(base, "training", ".")
    frames = training / rendering
    for flow in training.glob("flow/*/frame_*.flo"):
        scene, stem = flow.parent.name, flow.stem
        number = stem.removeprefix("frame_")
        if not number.isdecimal():
            continue
        yield FlowPair(
            f"sintel-{rendering}",
            f"{scene}/{stem}",
            frames / scene / f"{stem}.png",
            frames / scene / f"frame_{int(number) + 1:04d}.png",
            flow,
            occlusion=existing(training / "occlusions" / scene / f"{stem}.png"),
            invalid=existing(training / "invalid" / scene / f"{stem}.png"),
        )
