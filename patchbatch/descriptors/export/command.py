"""`patchbatch-export`: a network for other programs. What can be said without torch is said before it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from patchbatch import __version__, program
from patchbatch.descriptors.export.table import DEFAULT_OPSET, EXPORT_FORMS, OPSETS, ExportForm
from patchbatch.errors import PatchBatchError

EPILOG = """\
what comes in and goes out (float32):
  patches  (N, 1, P, P) grey in [0, 1]  ->  (N, D)          P is 62 for compact and fast, 51 for accurate
  images   (N, 1, H, W) grey in [0, 1]  ->  (N, E, H, W)    with coarser scales; any N, H and W

examples:
  patchbatch-export compact compact.onnx                 patches
  patchbatch-export compact compact.onnx --images        whole images, three scales joined
  patchbatch-export runs/mine/compact.safetensors mine.pt2
  patchbatch-export compact my-model/                    read by load_model("my-model")

exit status: 0 done, 1 bad input (one line on stderr), 2 wrong usage
"""
TORCHSCRIPT = (".pt", ".pth", ".ts", ".torchscript")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-export`."""
    parser = program.Parser(
        prog="patchbatch-export",
        description="Write a descriptor network for other programs.",
        epilog=f"{EXPORT_FORMS.help()}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a shipped model's name, weights file, or folder of weights"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="OUT.onnx, OUT.pt2, or a folder")
    parser.add_argument("--images", action="store_true", help="describe whole images, not patches")
    parser.add_argument(
        "--opset", type=int, metavar="N",
        help=f"version of ONNX's operators, {OPSETS[0]} to {OPSETS[1]} (default: {DEFAULT_OPSET})",
    )  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--version", action="version", version=f"patchbatch-export {__version__}")
    program.add_common(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = build_parser().parse_args(argv)
    return program.run("patchbatch-export", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    form = _checked_form(arguments)
    from patchbatch.models import is_factory, weights_file  # noqa: PLC0415 - the checks above need nothing

    if is_factory(arguments.model):
        raise PatchBatchError(f"{arguments.model} is a factory; only networks of this package are exported")
    source = weights_file(arguments.model)
    if arguments.out.resolve() in (source.resolve(), source.parent.resolve()):
        raise PatchBatchError(f"{arguments.out} is what is exported; choose another OUT")

    from patchbatch.models import load_model  # noqa: PLC0415 - torch is imported with it

    net, write = load_model(arguments.model), form.load()
    if not form.graph:
        write(net, arguments.out)
        said = "load_model reads it"
    else:
        opset = {"opset": arguments.opset or DEFAULT_OPSET} if form.name == "onnx" else {}
        difference = write(net, arguments.out, images=arguments.images, **opset)
        said = "not compared with torch, as onnxruntime is not installed"
        if difference is not None:
            said = f"differs from torch by at most {difference:.0e}"
        said = f"{', '.join(f'opset {number}' for number in opset.values()) or 'torch.export'}; {said}"
    if not arguments.quiet:
        print(f"wrote {arguments.out} ({said})")


def _checked_form(arguments: argparse.Namespace) -> ExportForm:
    """Return the form that OUT asks for; refuse what does not go together or cannot be written."""
    out: Path = arguments.out
    suffix = out.suffix.lower()
    if suffix in TORCHSCRIPT:
        raise PatchBatchError(
            f"{out}: TorchScript is deprecated in torch; write .pt2 (torch.export) or .onnx"
        )
    known = {form.suffix: form for form in EXPORT_FORMS.values()}
    form = known[""] if out.is_dir() else known.get(suffix)
    if form is None:
        raise PatchBatchError(f"{out}: there are .onnx, .pt2, and folders; choose one of these")
    if not form.graph and arguments.images:
        raise PatchBatchError("--images does nothing for a folder of weights; leave it out")
    if form.name != "onnx" and arguments.opset is not None:
        raise PatchBatchError("--opset is of .onnx; leave it out")
    if arguments.opset is not None and not OPSETS[0] <= arguments.opset <= OPSETS[1]:
        raise PatchBatchError(f"--opset is {arguments.opset}; give {OPSETS[0]} to {OPSETS[1]}")
    if form.graph and not out.parent.is_dir():
        raise PatchBatchError(f"{out}: folder {out.parent} does not exist; create it or choose another")
    return form


if __name__ == "__main__":
    sys.exit(main())
