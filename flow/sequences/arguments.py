"""The words of `patchbatch-flow` about sequences, and what they mean together."""

from __future__ import annotations

import argparse
from pathlib import Path

from flow.sequences.settings import DEFAULT_FPS, FILMS, FLOWS, MAPS, SequenceSettings

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".pnm", ".pbm", ".tif", ".tiff", ".bmp", ".webp", ".jp2",
)  # fmt: skip
"""Files that are taken for frames of a folder; a single one of them is no sequence."""
MAP = Path(".png")
"""What --occlusion and --confidence without a file mean."""

# Options that look at one pair, or replace a part of it.
_OF_ONE_PAIR = (
    "--matches", "--save-stages", "--gt", "--explain", "--matches-in", "--initial-flow", "--edges",
    "--edge-network", "--warm-up", "--demo", "--arrows", "--error-map", "--no-legend",
)  # fmt: skip
_OF_A_SEQUENCE = ("--step", "--both-ways", "--interpolate-frames", "--write-as", "--fps")


def add_sequence_options(group: argparse._ArgumentGroup) -> None:
    """Add what only sequences have."""
    group.add_argument(
        "--pairs", metavar="LIST", help="no IMG: a text file with two frames a line; - reads it from stdin"
    )
    group.add_argument("--step", type=int, metavar="N", help="take every N-th frame (default: 1)")
    group.add_argument(
        "--both-ways", action="store_true", help="the flow from each frame back to the one before, too"
    )
    group.add_argument(
        "--interpolate-frames", type=int, metavar="N", dest="interpolate_frames",
        help="make N frames between each two, by the flow both ways",
    )  # fmt: skip
    group.add_argument(
        "--write-as", choices=FLOWS, metavar="SUFFIX", help=f"of the flow files: {', '.join(FLOWS)} (.flo)"
    )
    group.add_argument(
        "--fps", type=float, metavar="F",
        help=f"frames a second of the videos (default: that of the video that is read, or {DEFAULT_FPS:g})",
    )  # fmt: skip


def is_sequence(arguments: argparse.Namespace) -> bool:
    """Whether the words name a sequence, not a pair of images."""
    images = arguments.images
    if arguments.pairs is not None or len(images) > 2:
        return True
    return len(images) == 1 and (
        has_wildcard(images[0])
        or Path(images[0]).is_dir()
        or Path(images[0]).suffix.lower() not in PICTURE_SUFFIXES
    )


def has_wildcard(word: str) -> bool:
    """Whether a word stands for all files that fit it; an existing file is itself."""
    return any(letter in word for letter in "*?[") and not Path(word).exists()


def check_sequence(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit with status 2 for words that do not go together, where a sequence is named."""
    for option in _OF_ONE_PAIR:
        if _is_set(arguments, option):
            parser.error(f"{option} is for one pair of images; leave it out for a sequence")
    if arguments.pairs is not None and arguments.images:
        parser.error("--pairs names the frames; leave out what else is named")
    if arguments.pairs is not None and arguments.step is not None:
        parser.error("--pairs says which frames belong together; leave --step out")
    if len(arguments.output) != 1:
        parser.error("a sequence is written to a folder: give it once, -o DIR")
    for option in ("--occlusion", "--confidence"):
        given = getattr(arguments, option[2:])
        if given is not None and str(given) not in MAPS:
            parser.error(
                f"of a sequence {option} goes to a folder in -o DIR; give a suffix ({', '.join(MAPS)}) "
                "or nothing after it"
            )
    if arguments.color is not None and arguments.color.suffix.lower() not in FILMS:
        parser.error(f"--color of a sequence is a video: {', '.join(FILMS)}")
    if arguments.fps is not None and not 0.1 <= arguments.fps <= 1000:
        parser.error("--fps is between 0.1 and 1000")
    if arguments.step is not None and arguments.step < 1:
        parser.error("--step is 1 or more")
    if arguments.interpolate_frames is not None and not 1 <= arguments.interpolate_frames <= 99:
        parser.error("--interpolate-frames is between 1 and 99")
    if arguments.no_interpolate and (arguments.interpolate_frames or arguments.occlusion):
        parser.error("--no-interpolate leaves nothing to do for --interpolate-frames and --occlusion")


def check_pair(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit with status 2 for words of sequences where one pair is named."""
    for option in _OF_A_SEQUENCE:
        if _is_set(arguments, option):
            parser.error(f"{option} is for a sequence: name a video, a folder, or more than two frames")
    for option in ("--occlusion", "--confidence"):
        if getattr(arguments, option[2:]) == MAP:
            parser.error(f"{option} of a pair needs the name of a file")


def settings_of(arguments: argparse.Namespace) -> SequenceSettings:
    """Return what is asked for."""
    return SequenceSettings(
        step=arguments.step or 1,
        both_ways=arguments.both_ways,
        write_as=arguments.write_as or ".flo",
        occlusion=str(arguments.occlusion or ""),
        confidence=str(arguments.confidence or ""),
        between=arguments.interpolate_frames or 0,
    )


def _is_set(arguments: argparse.Namespace, option: str) -> bool:
    return getattr(arguments, option.removeprefix("--").replace("-", "_")) not in (None, False)
