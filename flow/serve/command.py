"""`patchbatch-flow serve`: a page on this machine that takes two images and shows their flow."""

from __future__ import annotations

import argparse

from flow.presets import PRESETS
from patchbatch import program
from patchbatch.errors import PatchBatchError
from patchbatch.models import check_model

NAME = "serve"
DESCRIPTION = """\
Show a page in the browser of this machine: drop two images on it, and it shows their flow, its confidence,
what is hidden, and the second image pulled back onto the first, any two of them under a slider. Nothing
leaves the machine, and no other machine can reach the page. Ctrl-C stops it."""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `patchbatch-flow serve`."""
    parser = program.Parser(
        prog="patchbatch-flow serve", description=DESCRIPTION, epilog=PRESETS.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, default=8765, metavar="N", help="of the page (%(default)s); 0 takes a free one"
    )
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default="default", metavar="NAME", help="see below (%(default)s)"
    )
    parser.add_argument(
        "--model", metavar="NAME|FILE|MODULE:FACTORY", help="descriptor (default: the preset's)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (%(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    program.add_common(parser)
    return parser


def main(words: list[str]) -> int:
    """Run the command line; return the exit status."""
    arguments = build_parser().parse_args(words)
    return program.run("patchbatch-flow serve", lambda: _run(arguments), arguments)


def _run(arguments: argparse.Namespace) -> None:
    model = arguments.model or PRESETS[arguments.preset].model
    check_model(model)
    # Imported after what can be said without: torch takes seconds.
    from flow.serve.server import FlowServer  # noqa: PLC0415
    from flow.serve.work import Estimates  # noqa: PLC0415

    estimates = Estimates(model, arguments.preset, arguments.device)
    try:
        server = FlowServer(arguments.port, estimates)
    except OSError as error:
        raise PatchBatchError(
            f"port {arguments.port} cannot be had ({error.strerror}); give another --port"
        ) from error
    with server:
        print(f"{server.address}  (Ctrl-C stops it)", flush=True)
        if not arguments.no_browser:
            import webbrowser  # noqa: PLC0415 - only where it is asked for

            webbrowser.open(server.address)
        server.serve_forever()


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535")
    return int(text)
