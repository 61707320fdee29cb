"""`patchbatch-flow`: two images in, a flow field out; or a sequence of them, or a flow file shown.

What can be said without the network is said before torch is imported, which takes seconds: usage, settings,
files that are missing or do not fit, outputs that cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.arguments import build_parser, check_usage
from flow.presets import PRESETS
from flow.sequences.arguments import is_sequence
from flow.sequences.command import run_sequence, when_stopped
from flow.serve import command as serve
from flow.settings import FlowSettings, flow_settings, read_settings, settings_text, with_methods
from flow.show import command as show
from patchbatch import program
from patchbatch.data.files import peek
from patchbatch.models import check_model
from patchbatch.progress import listening

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flow.cost import StageCost
    from flow.results.result import Field, FlowResult
    from patchbatch.data.given.images import Image
    from patchbatch.descriptors.protocol import Descriptor

__all__ = ["build_parser", "main"]

LONG_GFLOP = 1000.0
"""Describing that takes more is announced, with its time; a KITTI pair by `compact` takes a quarter."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == [show.NAME]:
        return show.main(words[1:])
    if words[:1] == [serve.NAME]:
        return serve.main(words[1:])
    parser = build_parser()
    arguments = parser.parse_args(words)
    check_usage(parser, arguments)
    arguments.model = arguments.model or PRESETS[arguments.preset].model
    if arguments.verbose:
        _log_to_stderr()
    said = when_stopped(arguments) if is_sequence(arguments) else ""
    return program.run("patchbatch-flow", lambda: _begin(arguments), arguments, said)


def _begin(arguments: argparse.Namespace) -> int | None:
    if sys.stderr.isatty() and not arguments.quiet:
        _tell_of_compiling()
    settings = resolved_settings(arguments)
    if arguments.print_settings:
        print(settings_text(settings), end="")
    elif arguments.warm_up:
        from flow.warm_up import warm_up  # noqa: PLC0415 - torch is imported here

        warm_up(arguments.device)
        if not arguments.quiet:
            print("all loops are compiled")
    elif is_sequence(arguments):
        return run_sequence(arguments, settings)
    else:
        _run(arguments, settings)
    return None


def resolved_settings(arguments: argparse.Namespace) -> FlowSettings:
    """Return the settings of the preset, changed by the file, changed by the other options."""
    preset = arguments.preset
    chosen = read_settings(arguments.settings, preset) if arguments.settings else flow_settings(preset)
    return with_methods(
        chosen, preset, matcher=arguments.matcher, estimator=arguments.estimator,
        dense=arguments.dense, refinement=arguments.refinement, seed=arguments.seed,
        align=not arguments.no_align,
    )  # fmt: skip


def _run(arguments: argparse.Namespace, settings: FlowSettings) -> None:
    _check_inputs(arguments)
    # Imported where the words before it need none of it: it brings numpy and OpenCV.
    from flow import outputs  # noqa: PLC0415
    from patchbatch.data.formats import read_flow  # noqa: PLC0415

    if arguments.demo is not None:
        _name_demo(arguments)
    elif not arguments.output:
        stem = Path(arguments.images[0]).stem
        arguments.output = [Path(f"{stem}_flow.flo")]
        arguments.color = arguments.color or Path(f"{stem}_flow.png")
        if arguments.gt is not None:
            arguments.error_map = arguments.error_map or Path(f"{stem}_flow_error.png")
    outputs.check_outputs(arguments)
    with outputs.made_folders(arguments):
        if arguments.demo is not None:
            outputs.write_demo_frames(arguments.demo, arguments.max_radius, not arguments.no_legend)
        truth = read_flow(arguments.gt) if arguments.gt else None
        result, image = _estimate(arguments, settings, truth)
        if result.warning:
            print(f"patchbatch-flow: {result.warning}", file=sys.stderr)
        written = outputs.write_all(arguments, result, image, truth)
    if arguments.demo is not None:
        written = [*outputs.demo_frames(arguments.demo), *outputs.demo_truths(arguments.demo), *written]
    if arguments.verbose:
        _log_total(result)
    _tell(arguments, settings, result, truth)
    if not arguments.quiet:
        print(outputs.closing_line(arguments, result, written))


def _tell(
    arguments: argparse.Namespace, settings: FlowSettings, result: FlowResult, truth: Field | None
) -> None:
    """Print scores, times, and what has to be known about the confidence."""
    from flow import outputs  # noqa: PLC0415 - see _run

    from_matches = arguments.initial_flow is None and not arguments.quiet
    if from_matches and outputs.shows_confidence(arguments) and not result.calibrated:
        print(_uncalibrated(arguments, settings), file=sys.stderr)
    if truth:
        print(outputs.score_line(result, truth, arguments.gt))
    if arguments.demo is not None:
        print("seconds: " + ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in result.seconds.items()))
    if arguments.explain:
        print(outputs.explain(result))


def _check_inputs(arguments: argparse.Namespace) -> None:
    """Refuse files that are missing or empty, before anything slow is imported."""
    network = arguments.edges is not None and str(arguments.edges) == "network"
    for path in (
        *arguments.images, arguments.gt, arguments.initial_flow, arguments.edge_network,
        None if network else arguments.edges,
    ):  # fmt: skip
        if path is not None:
            peek(path, 1)
    if arguments.matches_in is not None:
        peek(arguments.matches_in, 1, may_be_empty=True)
    if arguments.matches_in is None and arguments.initial_flow is None:
        check_model(arguments.model)


def _name_demo(arguments: argparse.Namespace) -> None:
    """Fill in the rest of the command line as if the demonstration's files had been typed."""
    from flow import outputs  # noqa: PLC0415 - see _run

    folder: Path = arguments.demo
    *frames, arguments.gt = outputs.demo_frames(folder)
    arguments.images = [str(frame) for frame in frames]
    arguments.output.append(folder / "flow.flo")
    arguments.color = arguments.color or folder / "flow.png"
    arguments.confidence = arguments.confidence or folder / "confidence.png"
    arguments.error_map = arguments.error_map or folder / "error.png"
    arguments.max_radius = arguments.max_radius or outputs.DEMO_RADIUS_PX


def _estimate(
    arguments: argparse.Namespace, settings: FlowSettings,
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]] | None,
) -> tuple[FlowResult, Image]:  # fmt: skip
    """Return the result and image 1. Read all input, and only then load the network and compute."""
    from flow import inputs, outputs  # noqa: PLC0415 - see _run

    first, second = inputs.load_pair(arguments.images[0], arguments.images[1])
    shape = first.shape[:2]
    if truth is not None:
        outputs.check_truth(truth, shape, arguments.gt)
    given = arguments.matches_in
    matches = None if given is None else inputs.given_matches(given, shape)
    start = arguments.initial_flow
    initial = None if start is None else inputs.given_flow(start, shape)
    own_edges = arguments.edges is not None and str(arguments.edges) != "network"
    edges = inputs.given_edges(arguments.edges, shape) if own_edges else None

    from flow.pipeline import estimate_flow  # noqa: PLC0415 - torch is imported here

    model, show = _model(arguments), sys.stderr.isatty() and not arguments.quiet
    if arguments.verbose:
        _log_choice(arguments, settings, first)
    if not (isinstance(model, str) or arguments.quiet):
        _announce(model, (shape[0], shape[1]), settings, arguments.precision)
    with listening(_Bars() if show else None):
        result = estimate_flow(
            first,
            second,
            model,
            preset=arguments.preset,
            settings=settings,
            precision=arguments.precision,
            interpolate=not arguments.no_interpolate,
            refine=not arguments.no_refine,
            edges=_network_edges(arguments, first) if edges is None else edges,
            matches=matches,
            initial_flow=initial,
            keep_stages=arguments.save_stages is not None,
            on_stage=_show_stage if show else None,
            per_stage_memory=arguments.explain,
        )
    return result, first


def _announce(model: Descriptor, shape: tuple[int, int], settings: FlowSettings, precision: str) -> None:
    """Say before a long run how long its longest part takes."""
    from flow.cost import expected_seconds  # noqa: PLC0415 - see _run
    from flow.pipeline import describing_gflop  # noqa: PLC0415 - see _run
    from patchbatch.devices import resolve_precision  # noqa: PLC0415 - see _run

    gflop = describing_gflop(model, shape, settings)
    if gflop is None or gflop < LONG_GFLOP:
        return
    seconds = expected_seconds(gflop, model.device, resolve_precision(precision, model.device))
    words = f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} s"
    print(f"describing by {model.name} takes about {words} here ({gflop:.0f} GFLOP)", file=sys.stderr)


class _Bars:
    """Shows on a terminal how far long computations are, with the time left."""

    def __init__(self) -> None:
        self.bar: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only long runs need it

        if self.bar is None:
            self.bar = tqdm(total=total, unit=f" {what}", unit_scale=True)
        self.bar.update(done - self.bar.n)
        if done >= total:
            self.bar.close()
            self.bar = None


def _model(arguments: argparse.Namespace) -> Descriptor | str:
    """Load the descriptor, unless nothing is to be described; a bad one is refused before it computes."""
    if arguments.matches_in is not None or arguments.initial_flow is not None:
        return str(arguments.model)
    from patchbatch.models import load_descriptor  # noqa: PLC0415 - see _run

    return load_descriptor(arguments.model, arguments.device)


def _network_edges(arguments: argparse.Namespace, image: Image) -> NDArray[np.float32] | None:
    if arguments.edges is None and arguments.edge_network is None:
        return None
    from flow.edges.network import SHIPPED, network_edges  # noqa: PLC0415 - see _run

    return network_edges(image, arguments.edge_network or SHIPPED)


def _uncalibrated(arguments: argparse.Namespace, settings: FlowSettings) -> str:
    if arguments.matches_in is not None:
        return f"note: the confidence is made from the scores in {arguments.matches_in}"
    return (
        f"note: the confidence was not fitted for {arguments.model} with {settings.matching.method}; it "
        "ranks matches, but is no probability"
    )


def _show_stage(name: str, cost: StageCost) -> None:
    print(f"{name:<12}{cost.seconds:7.2f} s", file=sys.stderr)


def _tell_of_compiling() -> None:
    """Let the user see why the first run takes longer."""
    import logging  # noqa: PLC0415 - see _run

    handler, log = logging.StreamHandler(sys.stderr), logging.getLogger("patchbatch.compiled")
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _log_choice(arguments: argparse.Namespace, settings: FlowSettings, image: Image) -> None:
    """Log what was chosen, by the options or for the user."""
    import logging  # noqa: PLC0415 - see _run

    from patchbatch.threads import thread_count  # noqa: PLC0415

    log, kind = logging.getLogger("flow.cli"), "grey" if image.ndim == 2 else "colour"
    log.info("%s and %s: %dx%d, %s", *arguments.images, image.shape[1], image.shape[0], kind)
    log.info(
        "preset %s: matcher %s, estimator %s, dense %s, refinement %s; %d threads",
        arguments.preset, settings.matching.method, settings.interpolation.estimator,
        settings.completion.method, settings.refinement.method, thread_count(),
    )  # fmt: skip


def _log_total(result: FlowResult) -> None:
    import logging  # noqa: PLC0415 - see _run

    logging.getLogger("flow.cli").info("from images to flow: %.2f s", result.seconds["total"])


def _log_to_stderr() -> None:
    import logging  # noqa: PLC0415 - see _run

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
