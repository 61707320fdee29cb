"""`patchbatch-flow show`: any flow file as a picture that can be looked at."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchbatch import program
from patchbatch.data.files import check_overwriting, peek
from patchbatch.errors import PatchBatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Field = tuple[NDArray[np.float32], NDArray[np.bool_]]

NAME = "show"
DESCRIPTION = """\
Turn flow files into pictures: in the Middlebury colours with their legend; as arrows; or as the error
against a true flow in the colours of KITTI. The picture of x.flo stands beside it and is called x_color.png,
x_arrows.png or x_error.png."""
EXAMPLES = """\
examples:
  patchbatch-flow show a.flo                       a_color.png, with the wheel of colours and its scale
  patchbatch-flow show a.flo b.flo --max-radius 20      with one scale, so that they can be compared
  patchbatch-flow show a.flo --arrows --image a.png     a_arrows.png: on the first frame
  patchbatch-flow show a.flo --gt truth.png        a_error.png: blue is right, red is wrong; and the score

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-flow show`."""
    parser = program.Parser(
        prog="patchbatch-flow show", description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".flo, KITTI .png, .pfm or .npz")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PICTURE", help="of one FILE: where the picture goes"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--arrows", action="store_true", help="arrows in place of colours")
    kind.add_argument("--gt", type=Path, metavar="FILE", help="true flow: the error in place of the motion")
    parser.add_argument("--image", type=Path, metavar="IMG", help="of --arrows: the frame to draw them on")
    parser.add_argument(
        "--max-radius", type=float, metavar="PX",
        help="motion (px) that has full colour (default: the longest of the file, at least 1)",
    )  # fmt: skip
    parser.add_argument("--no-legend", action="store_true", help="the picture alone, in the size of the flow")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    program.add_common(parser)
    return parser


def main(words: list[str]) -> int:
    """Run the command line; return the exit status."""
    parser = build_parser()
    arguments = parser.parse_args(words)
    if arguments.output is not None and len(arguments.files) > 1:
        parser.error("-o is for one FILE; the pictures of several stand beside them")
    if arguments.image is not None and not arguments.arrows:
        parser.error("--image is what --arrows are drawn on")
    if arguments.max_radius is not None and (arguments.arrows or arguments.gt):
        parser.error("--max-radius is of colours; leave it out beside --arrows and --gt")
    if arguments.max_radius is not None and not arguments.max_radius > 0:
        parser.error("--max-radius must be above 0")
    return program.run("patchbatch-flow show", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    kind = "error" if arguments.gt else "arrows" if arguments.arrows else "color"
    outputs = [
        arguments.output or file.with_name(f"{file.stem}_{kind}.png") for file in arguments.files
    ]  # fmt: skip
    for path in (*arguments.files, arguments.gt, arguments.image):
        if path is not None:
            peek(path, 1)
    reads = [
        *(("FILE", file) for file in arguments.files), ("--gt", arguments.gt), ("--image", arguments.image),
    ]  # fmt: skip
    for path in outputs:
        if outputs.count(path) > 1:
            raise PatchBatchError(f"two files would both become {path}; show them one by one, with -o")
    check_overwriting(reads, [("-o" if arguments.output else "the picture", path) for path in outputs])
    # Imported after what can be said without: it brings numpy and OpenCV.
    from flow.outputs import PICTURES  # noqa: PLC0415
    from patchbatch.data.formats import read_flow  # noqa: PLC0415
    from patchbatch.data.images import write_image  # noqa: PLC0415

    for path in outputs:
        if path.suffix.lower() not in PICTURES:
            raise PatchBatchError(f"{path}: pictures are {', '.join(PICTURES)}; choose one of these")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise PatchBatchError(f"{path} cannot be written: make the folder, or choose another -o")
    truth = read_flow(arguments.gt) if arguments.gt else None
    for file, path in zip(arguments.files, outputs, strict=True):
        picture, about = _drawn(arguments, file, read_flow(file), truth)
        write_image(path, picture)
        if not arguments.quiet:
            print(f"wrote {path}{about}")


def _drawn(
    arguments: argparse.Namespace, file: Path, field: Field, truth: Field | None
) -> tuple[NDArray[Any], str]:
    """Return a picture of a flow, and what is said about it."""
    from flow.pictures.arrows import arrow_picture  # noqa: PLC0415 - see _run
    from flow.pictures.errors import error_picture  # noqa: PLC0415 - see _run
    from flow.pictures.fields import flow_picture  # noqa: PLC0415 - see _run

    (flow, valid), legend = field, not arguments.no_legend
    if truth is not None:
        from flow.outputs import check_truth, error_line  # noqa: PLC0415 - see _run

        check_truth(truth, valid.shape, arguments.gt)
        picture = error_picture(flow, truth[0], truth[1] & valid, legend=legend)
        return picture, f": {error_line(flow, valid, truth, arguments.gt)}"
    if arguments.arrows:
        return arrow_picture(_background(arguments.image, valid.shape), flow, valid, legend=legend), ""
    return flow_picture(flow, valid, arguments.max_radius, legend=legend), _extent(file, flow, valid)


def _background(image: Path | None, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return what arrows are drawn on: a frame, or white."""
    import numpy as np  # noqa: PLC0415 - see _run

    from patchbatch.data.images import read_image  # noqa: PLC0415 - see _run

    if image is None:
        return np.full(shape, 255, np.uint8)
    pixels = read_image(image)
    if pixels.shape[:2] != shape:
        raise PatchBatchError(
            f"{image} is {pixels.shape[1]}x{pixels.shape[0]} but the flow {shape[1]}x{shape[0]}; "
            "it belongs to another flow"
        )
    return pixels


def _extent(file: Path, flow: NDArray[np.float32], valid: NDArray[np.bool_]) -> str:
    """Say in words what a flow has: how much is known, and how far things move."""
    import numpy as np  # noqa: PLC0415 - see _run

    if not valid.any():
        return f": nothing is known in {file}"
    length = np.hypot(flow[..., 0], flow[..., 1])[valid]
    known = "" if valid.all() else f", known at {100 * valid.mean():.1f} % of the pixels"
    middle, longest = np.quantile(length, 0.5), length.max()
    return f": {valid.shape[1]}x{valid.shape[0]}, motion {middle:.2f} px (median) to {longest:.2f} px{known}"
