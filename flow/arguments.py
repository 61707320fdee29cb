"""The command line of `patchbatch-flow`: its words, and what they mean together."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from flow.completion.table import DEFAULT_DENSE, DENSE_METHODS
from flow.interpolation.table import DEFAULT_ESTIMATOR, ESTIMATORS
from flow.matching.table import DEFAULT_MATCHER, MATCHERS
from flow.presets import PRESETS
from flow.refinement.table import REFINEMENTS
from flow.sequences.arguments import MAP, add_sequence_options, check_pair, check_sequence, is_sequence
from patchbatch import __version__, program
from patchbatch.models import DEFAULT_MODEL, MODELS
from patchbatch.tables import Table, unknown

DESCRIPTION = """\
Estimate motion with learned patch descriptors: from IMG1 to IMG2, or from frame to frame of a sequence."""
USAGE = """\
patchbatch-flow [options] IMG1 IMG2
       patchbatch-flow [options] VIDEO|FOLDER|'NAMES*'|IMG... -o DIR
       patchbatch-flow show FILE... [options]"""
EXAMPLES = """\
examples:
  patchbatch-flow a.png b.png                      writes a_flow.flo and a_flow.png (colours)
  patchbatch-flow a.png b.png -o out.png -o out.npz --confidence conf.png
  patchbatch-flow a.png b.png --preset kitti --gt truth.png --explain
  patchbatch-flow a.png b.png --model mine.sift:make --matcher patchmatch
  patchbatch-flow --preset kitti --print-settings > mine.toml
  patchbatch-flow video.mp4 -o DIR                 flow from frame to frame, and a video of it; or frames/ or
                                                   'frames/*.png'; the same command goes on after a stop
  patchbatch-flow show flow.flo -o flow.png        a picture of a flow file; show --help
  patchbatch-flow serve                            a page in the browser: drop two images, see their flow
  patchbatch-flow --demo                           makes two frames, estimates their flow, writes to ./demo

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C, 141 output closed
"""
TABLES: tuple[Table[Any], ...] = (MODELS, PRESETS, MATCHERS, ESTIMATORS, DENSE_METHODS, REFINEMENTS)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-flow`."""
    parser = program.Parser(
        prog="patchbatch-flow",
        usage=USAGE,
        description=DESCRIPTION,
        epilog="\n\n".join([*(table.help() for table in TABLES), EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images", nargs="*", metavar="IMG",
        help="two images of one size, grey or colour; or a sequence: a video, a folder, 'NAMES*', frames",
    )  # fmt: skip
    parser.add_argument(
        "--demo",
        nargs="?",
        const=Path("demo"),
        type=Path,
        metavar="DIR",
        help="no images: make two frames of a scene with known flow; all goes to DIR (default: demo)",
    )
    parser.add_argument(
        "--warm-up",
        action="store_true",
        help="no images: compile all loops now, which the first pair would otherwise wait for, and stop",
    )
    parser.add_argument("--version", action="version", version=f"patchbatch-flow {__version__}")
    _add_outputs(parser.add_argument_group("what is written"))
    add_sequence_options(parser.add_argument_group("of a sequence, docs/sequences.md"))
    _add_settings(parser.add_argument_group("how it is computed"))
    _add_own_parts(parser.add_argument_group("your own parts in place of a stage"))
    _add_talk(parser.add_argument_group("what is said"))
    return parser


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-o",
        "--output",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="flow file, repeatable: .flo, .png (KITTI, 16 bits), .pfm, or .npz (flow, valid, confidence); "
        "default: IMG1's name with _flow.flo, and _flow.png in colours, in this folder. "
        "Of a sequence: the folder for everything",
    )
    _file(
        group, "--color",
        "picture of the flow in the Middlebury colours; of a sequence the video (default: DIR/flow.mp4)",
    )  # fmt: skip
    group.add_argument(
        "--max-radius",
        type=float,
        metavar="PX",
        help="motion (px) that --color shows at full strength (default: the largest, in all frames)",
    )
    _file(group, "--arrows", "picture of IMG1 with the motion as arrows")
    _file(group, "--error-map", "picture of the error against --gt in KITTI's colours (default, without -o: "
          "IMG1's name with _flow_error.png)")  # fmt: skip
    group.add_argument(
        "--no-legend",
        action="store_true",
        help="leave out what stands beneath the pictures: they have the images' size then",
    )
    _file(group, "--matches", "the matches as text, x1 y1 x2 y2 score a line, as EpicFlow reads them")
    of_all = "; of a sequence a suffix or nothing"
    _map(group, "--confidence", f"confidence in [0, 1]: .pfm, .npy, or a picture in colour{of_all}")
    _map(
        group, "--occlusion",
        f"probability that a pixel is not seen in IMG2: .pfm, .npy, or a picture{of_all}",
    )  # fmt: skip
    _file(group, "--save-stages", "folder for what each stage made, as pictures and as numbers", "DIR")


def _add_settings(group: argparse._ArgumentGroup) -> None:
    _named(group, "--preset", PRESETS, "settings of all stages for a kind of images", default="default")
    _named(group, "--matcher", MATCHERS, f"search for matches (default: {DEFAULT_MATCHER})")
    _named(
        group, "--estimator", ESTIMATORS, f"local models of the interpolation (default: {DEFAULT_ESTIMATOR})"
    )
    _named(
        group,
        "--dense",
        DENSE_METHODS,
        f"motion of what no match settles (default: {DEFAULT_DENSE}; with --matches-in interpolated)",
    )
    _named(group, "--refinement", REFINEMENTS, "last step (default: the preset's)")
    _file(group, "--settings", "TOML file with any settings of the stages, as --print-settings prints them")
    group.add_argument(
        "--print-settings", action="store_true", help="print the settings of all stages as TOML, and stop"
    )
    group.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda|mps",
        help="where to compute; auto takes a GPU if there is one (default: auto)",
    )
    group.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="number type of the network's products; auto is the fastest that the device has",
    )
    group.add_argument(
        "--no-align",
        action="store_true",
        help="match IMG2 as it is, even if it is turned or zoomed so far that hardly anything matches",
    )
    group.add_argument("--no-refine", action="store_true", help="leave the variational refinement out")
    group.add_argument("--no-interpolate", action="store_true", help="stop at the matches: a sparse field")
    program.add_common(group)
    group.add_argument("--seed", type=int, help="of the matcher's random search (default: the settings', 0)")


def _add_own_parts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        metavar="NAME|FILE|MODULE:FACTORY",
        help="descriptor: the name of a model, a weights file, or package.module:factory, whose code is run: "
        "it returns a Descriptor, or a patch network with patch_size "
        f"(default: the preset's, mostly {DEFAULT_MODEL})",
    )
    _file(group, "--matches-in", "go on from these matches, x1 y1 x2 y2 score a line; scores in [0, 1] count")
    _file(group, "--initial-flow", "refine this dense flow, and do nothing else")
    borders = group.add_mutually_exclusive_group()
    _file(borders, "--edge-network", "find the motion borders by weights from python -m flow.edges.train")
    _file(
        borders,
        "--edges",
        "motion borders of IMG1: raw float32 as EpicFlow reads it, .npy, or an image; network: found by "
        "the shipped network (default: from the gradient)",
        "FILE|network",
    )


def _add_talk(group: argparse._ArgumentGroup) -> None:
    _file(group, "--gt", "true flow (.flo, KITTI .png, .pfm, .npz): print the score, paint the errors")
    group.add_argument(
        "--explain", action="store_true", help="print time, arithmetic and memory of each stage"
    )
    talk = group.add_mutually_exclusive_group()
    talk.add_argument("-v", "--verbose", action="store_true", help="log what happens, on stderr")
    talk.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print nothing but errors and what --gt and --explain ask for",
    )


def _file(group: argparse._ActionsContainer, option: str, what: str, metavar: str = "FILE") -> None:
    group.add_argument(option, type=Path, metavar=metavar, help=what)


def _map(group: argparse._ActionsContainer, option: str, what: str) -> None:
    group.add_argument(option, type=Path, nargs="?", const=MAP, metavar="FILE", help=what)


def _named(
    group: argparse._ActionsContainer, option: str, table: Table[Any], what: str, default: str | None = None
) -> None:
    group.add_argument(
        option,
        type=partial(_known, table),
        default=default,
        metavar="NAME",
        help=f"{what}; {table.kinds} below",
    )


def _known(table: Table[Any], name: str) -> str:
    """Return a name of a table; argparse shows what is said of another one."""
    if name not in table:
        raise argparse.ArgumentTypeError(unknown(table.kind, name, table))
    return name


def check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit with status 2 for words that do not go together."""
    if is_sequence(arguments):
        check_sequence(parser, arguments)
    else:
        _check_pair(parser, arguments)
    if arguments.max_radius is not None and not arguments.max_radius > 0:
        parser.error("--max-radius must be above 0")
    if arguments.seed is not None and arguments.seed < 0:
        parser.error("--seed must be 0 or more")
    for given, others in _IDLE.items():
        for other in others:
            if _is_set(arguments, given) and _is_set(arguments, other):
                parser.error(f"{given} leaves nothing to do for {other}; leave one of them out")


def _check_pair(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    check_pair(parser, arguments)
    if arguments.demo is not None and arguments.images:
        parser.error("--demo takes no images: it makes its own")
    outputs = (
        arguments.output,
        arguments.color,
        arguments.arrows,
        arguments.matches,
        arguments.confidence,
        arguments.occlusion,
    )
    if arguments.warm_up and (arguments.images or arguments.demo is not None or any(outputs)):
        parser.error("--warm-up takes no images and no --demo, and writes nothing: it only compiles")
    needless = arguments.print_settings or arguments.warm_up or arguments.demo is not None
    if len(arguments.images) != 2 and not needless:
        parser.error(f"two images are needed, {len(arguments.images)} given")
    if arguments.demo is not None and arguments.gt is not None:
        parser.error("--demo knows its true flow; leave --gt out")
    if arguments.error_map is not None and arguments.gt is None and arguments.demo is None:
        parser.error("--error-map compares with a true flow; name it by --gt")


# Options that would do nothing beside another one.
_IDLE = {
    "--matches-in": ("--matcher", "--seed", "--no-align", "--dense", "--initial-flow", "--occlusion"),
    "--initial-flow": (
        "--matcher", "--estimator", "--dense", "--edges", "--edge-network", "--matches", "--no-interpolate",
        "--no-refine", "--seed", "--no-align", "--occlusion",
    ),
    "--no-interpolate": (
        "--estimator", "--dense", "--edges", "--edge-network", "--refinement", "--occlusion",
    ),
    "--no-refine": ("--refinement",),
}  # fmt: skip


def _is_set(arguments: argparse.Namespace, option: str) -> bool:
    return getattr(arguments, option.removeprefix("--").replace("-", "_")) not in (None, False)
