"""`patchbatch-flow`: two images in, a flow field out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from patchbatch import PatchBatchError, __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flow.cost import StageCost
    from flow.pipeline import FlowResult

# Nothing heavy is imported before the arguments are parsed: `--help` and usage errors answer at once.

DESCRIPTION = "Estimate the motion from IMG1 to IMG2 with learned patch descriptors."
EPILOG = """\
examples:
  patchbatch-flow a.png b.png                      writes a_flow.flo and a_flow.png (colours)
  patchbatch-flow a.png b.png -o out.png -o out.npz --confidence conf.png
  patchbatch-flow a.png b.png --preset kitti --gt truth.png --explain
  patchbatch-flow --demo                           makes two frames, estimates their flow, writes to ./demo

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-flow`."""
    parser = argparse.ArgumentParser(
        prog="patchbatch-flow",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="*", metavar="IMG", help="two images of one size, grey or colour")
    parser.add_argument(
        "--demo",
        nargs="?",
        const=Path("demo"),
        type=Path,
        metavar="DIR",
        help="no images: make two frames of a scene with known flow; all goes to DIR (default: demo)",
    )
    parser.add_argument("--version", action="version", version=f"patchbatch-flow {__version__}")
    _add_outputs(parser.add_argument_group("what is written"))
    _add_choices(parser.add_argument_group("how it is computed"))
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
        "default: IMG1's name with _flow.flo, and _flow.png in colours, in this folder",
    )
    group.add_argument(
        "--color", type=Path, metavar="FILE", help="picture of the flow in the Middlebury colours"
    )
    group.add_argument(
        "--max-radius",
        type=float,
        metavar="PX",
        help="motion (px) that --color shows at full strength (default: the largest there is)",
    )
    group.add_argument(
        "--matches",
        type=Path,
        metavar="FILE",
        help="the matches as text, x1 y1 x2 y2 score a line, as EpicFlow and DeepMatching read them",
    )
    group.add_argument(
        "--confidence", type=Path, metavar="FILE", help="confidence in [0, 1]: .pfm, or a grey picture"
    )
    group.add_argument(
        "--save-stages",
        type=Path,
        metavar="DIR",
        help="folder for what each stage made, as pictures and as numbers",
    )


def _add_choices(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        default="compact",
        metavar="NAME|FILE",
        help="shipped model or weights file (default: compact)",
    )
    group.add_argument(
        "--preset",
        choices=("default", "kitti", "sintel", "middlebury"),
        default="default",
        help="settings of interpolation and refinement (default: %(default)s)",
    )
    group.add_argument(
        "--estimator",
        choices=("robust", "affine", "nadaraya-watson"),
        default="robust",
        help="local models of the interpolation: robust (default), or EpicFlow's own with its settings",
    )
    group.add_argument(
        "--refinement",
        choices=("variational", "opencv"),
        help="variational, or the quicker one of OpenCV (default: the preset's)",
    )
    borders = group.add_mutually_exclusive_group()
    borders.add_argument(
        "--edge-network",
        type=Path,
        metavar="FILE",
        help="find the motion borders by these weights from python -m flow.edges.train",
    )
    borders.add_argument(
        "--edges",
        type=Path,
        metavar="FILE|network",
        help="motion borders of IMG1: raw float32 as EpicFlow reads it, .npy, or an image; network: found by "
        "the shipped network (default: from the gradient)",
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
    group.add_argument("--no-refine", action="store_true", help="leave the variational refinement out")
    group.add_argument("--no-interpolate", action="store_true", help="stop at the matches: a sparse field")
    group.add_argument("--seed", type=int, default=0, help="of the matcher's random search (default: 0)")


def _add_talk(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--gt", type=Path, metavar="FILE", help="true flow (.flo, KITTI .png, .pfm, .npz): print the score"
    )
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


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    _check_usage(parser, arguments)
    try:
        _run(arguments)
    except PatchBatchError as error:
        print(f"patchbatch-flow: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.demo is not None and arguments.images:
        parser.error("--demo takes no images: it makes its own")
    if arguments.demo is None and len(arguments.images) != 2:
        parser.error(f"two images are needed, {len(arguments.images)} given")
    if arguments.max_radius is not None and not arguments.max_radius > 0:
        parser.error("--max-radius must be above 0")
    if arguments.demo is not None and arguments.gt is not None:
        parser.error("--demo knows its true flow; leave --gt out")
    if arguments.seed < 0:
        parser.error("--seed must be 0 or more")


def _run(arguments: argparse.Namespace) -> None:
    from flow import outputs  # noqa: PLC0415 - see the top of this file
    from patchbatch.data.formats import read_flow  # noqa: PLC0415

    if arguments.verbose:
        _log_to_stderr()
    if arguments.demo is not None:
        _prepare_demo(arguments)
    elif not arguments.output:
        stem = Path(arguments.images[0]).stem
        arguments.output = [Path(f"{stem}_flow.flo")]
        arguments.color = arguments.color or Path(f"{stem}_flow.png")
    outputs.check_folders(arguments)
    truth = read_flow(arguments.gt) if arguments.gt else None
    result = _estimate(arguments)
    # Scored before anything is written: a true flow of another size is bad input, and leaves no files.
    score = outputs.score_line(result, truth, arguments.gt) if truth else ""
    written = outputs.write_all(arguments, result)
    if arguments.demo is not None and truth:
        written += outputs.demo_frames(arguments.demo)
        written.append(outputs.write_error_map(arguments.demo / "error.png", result, truth))
    if not arguments.quiet:
        print("\n".join(f"wrote {path}" for path in written))
    if truth:
        print(score)
    if arguments.demo is not None:
        print("seconds: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in result.seconds.items()))
    if arguments.explain:
        print(outputs.explain(result))


def _prepare_demo(arguments: argparse.Namespace) -> None:
    """Make the demonstration's frames, and fill in the rest of the command line as if it had been typed."""
    from flow import outputs  # noqa: PLC0415 - see the top of this file

    folder: Path = arguments.demo
    outputs.make_folder(folder)
    outputs.write_demo_frames(folder)
    *frames, arguments.gt = outputs.demo_frames(folder)
    arguments.images = [str(frame) for frame in frames]
    arguments.output.append(folder / "flow.flo")
    arguments.color = arguments.color or folder / "flow.png"


def _estimate(arguments: argparse.Namespace) -> FlowResult:
    from flow.interpolation.settings import interpolation_settings  # noqa: PLC0415 - see the top of this file
    from flow.pipeline import PRESETS, estimate_flow  # noqa: PLC0415

    refinement = PRESETS[arguments.preset].refinement
    if arguments.refinement is not None:
        refinement = replace(refinement, method=arguments.refinement)
    show = sys.stderr.isatty() and not arguments.quiet
    return estimate_flow(
        arguments.images[0],
        arguments.images[1],
        arguments.model,
        preset=arguments.preset,
        device=arguments.device,
        precision=arguments.precision,
        interpolate=not arguments.no_interpolate,
        refine=not arguments.no_refine,
        seed=arguments.seed,
        edges=_read_edges(arguments),
        interpolation=interpolation_settings(arguments.estimator, arguments.preset),
        refinement=refinement,
        keep_stages=arguments.save_stages is not None,
        on_stage=_show_stage if show else None,
        per_stage_memory=arguments.explain,
    )


def _read_edges(arguments: argparse.Namespace) -> NDArray[np.float32] | None:
    """Return the edge map; a raw one does not tell its size, so the first image does."""
    if arguments.edges is None and arguments.edge_network is None:
        return None
    from flow.edges.network import SHIPPED, network_edges  # noqa: PLC0415 - see the top of this file
    from patchbatch.data.images import load_image  # noqa: PLC0415
    from patchbatch.data.matches_io import read_edges  # noqa: PLC0415

    image = load_image(arguments.images[0])
    if arguments.edge_network is not None or str(arguments.edges) == "network":
        return network_edges(image, arguments.edge_network or SHIPPED)
    return read_edges(arguments.edges, (image.shape[0], image.shape[1]))


def _show_stage(name: str, cost: StageCost) -> None:
    print(f"{name:<12}{cost.seconds:7.2f} s", file=sys.stderr)


def _log_to_stderr() -> None:
    import logging  # noqa: PLC0415 - see the top of this file

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
