"""`patchbatch-flow` for a sequence: from its words to a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.sequences.arguments import has_wildcard, settings_of
from flow.sequences.settings import SequenceSettings
from flow.settings import FlowSettings
from patchbatch.data.files import check_overwriting
from patchbatch.errors import PatchBatchError
from patchbatch.models import check_model
from patchbatch.runs.processes import Group, group_of_torchrun, sharing_threads

if TYPE_CHECKING:
    from flow.sequences.run import Outcome
    from flow.sequences.sources import Source


def when_stopped(arguments: argparse.Namespace) -> str:
    """Return what is said after Ctrl-C."""
    return f"stopped: the same command goes on where it was, from {arguments.output[0]}"


def run_sequence(arguments: argparse.Namespace, settings: FlowSettings) -> int:
    """Estimate the flow through a sequence, and write it.

    Returns
    -------
    int
        0, or 1 if some pairs could not be made.

    Raises
    ------
    PatchBatchError
        For anything the user can mend.
    """
    folder, wanted = Path(arguments.output[0]), settings_of(arguments)
    check_model(arguments.model)
    # Imported where the words before it need none of it: it brings numpy.
    from flow.sequences.results import check_folder  # noqa: PLC0415
    from flow.sequences.video import MISSING, can_videos  # noqa: PLC0415

    check_folder(folder)
    if arguments.color is not None:
        if not can_videos():
            raise PatchBatchError(f"{arguments.color}: writing a video {MISSING}; or leave --color out")
        _check_color(arguments, folder)
    source = _source(arguments, wanted)
    group = group_of_torchrun()
    with sharing_threads():
        # Imported after all that can be said without: torch takes seconds, and reads the number of threads.
        from flow.sequences.run import Job, run  # noqa: PLC0415

        films, depends = can_videos(), _depends(arguments, settings, wanted, source)
        outcome = run(
            Job(
                source, folder, wanted, depends, arguments.model, settings,
                _device(arguments.device, group), arguments.precision, arguments.preset,
                not arguments.no_interpolate, not arguments.no_refine,
                color=(arguments.color or folder / "flow.mp4") if films else None,
                smooth=folder / "between.mp4" if films and wanted.between and source.chained else None,
                radius=arguments.max_radius, fps=arguments.fps, shown=not arguments.quiet,
            ),
            group,
        )  # fmt: skip
    if outcome is None:  # another process of torchrun tells
        return 0
    _tell(outcome, folder, wanted, films=films, quiet=arguments.quiet)
    return 1 if outcome.failed else 0


def _source(arguments: argparse.Namespace, wanted: SequenceSettings) -> Source:
    from flow.sequences.sources import find_files, read_pairs  # noqa: PLC0415 - see run_sequence

    if arguments.pairs is not None:
        return read_pairs(arguments.pairs)
    word = arguments.images[0]
    if len(arguments.images) > 1 or has_wildcard(word) or Path(word).is_dir():
        return find_files(arguments.images, wanted.step)
    from flow.sequences.video import Video  # noqa: PLC0415 - see run_sequence

    return Video(Path(word), wanted.step)


def _check_color(arguments: argparse.Namespace, folder: Path) -> None:
    """Refuse a place for the video that is taken by something else."""
    path: Path = arguments.color
    reads = [*(("IMG", image) for image in arguments.images), ("--pairs", arguments.pairs)]
    check_overwriting(reads, [("-o", folder / "between.mp4"), ("--color", path)])
    if path.parent != folder and not path.parent.is_dir():
        raise PatchBatchError(f"{path}: folder {path.parent} does not exist; make it, or choose another")
    if path.is_dir():
        raise PatchBatchError(f"{path} is a folder; give --color a file name")


def _depends(
    arguments: argparse.Namespace, settings: FlowSettings, wanted: SequenceSettings, source: Source
) -> dict[str, Any]:
    """Return what the results of a pair depend on, ready for JSON.

    Not in it: which kinds of files are written, so that one may be asked for later.
    """
    from patchbatch.runs.fingerprint import model_hash, versions  # noqa: PLC0415 - see run_sequence
    from patchbatch.runs.journal import plain  # noqa: PLC0415 - see run_sequence

    return {
        "source": source.identity,
        "step": wanted.step,
        "interpolate-frames": wanted.between,
        "model": {"name": str(arguments.model), "weights": model_hash(arguments.model)},
        "device": arguments.device,
        "precision": arguments.precision,
        "preset": arguments.preset,
        "interpolate": not arguments.no_interpolate,
        "refine": not arguments.no_refine,
        "flow-settings": plain(settings.to_table()),
        "versions": versions(),
    }


def _device(device: str, group: Group) -> str:
    """Deal several GPUs out among the processes of a machine."""
    if device not in ("auto", "cuda") or group.size == 1:
        return device
    import torch  # noqa: PLC0415 - see run_sequence

    count = torch.cuda.device_count()
    return f"cuda:{group.local_rank % count}" if count > 1 else device


def _tell(outcome: Outcome, folder: Path, wanted: SequenceSettings, *, films: bool, quiet: bool) -> None:
    made = len(outcome.pairs) - len(outcome.failed)
    if not quiet:
        folders = sorted({str(folder / Path(file).parent) for file in wanted.files("0").values()})
        print(f"{made} pairs: wrote {', '.join(folders)}")
        for path, about in outcome.videos:
            print(f"wrote {path} ({about})")
        if not films:
            from flow.sequences.video import MISSING  # noqa: PLC0415 - see run_sequence

            print(f"note: no video of the flow: it {MISSING}", file=sys.stderr)
        if outcome.doubtful:
            print(
                f"note: {outcome.doubtful} of the pairs hardly match, so much of their flow is guessed or "
                f"not known: see 'warning' in {folder / 'pairs.jsonl'}",
                file=sys.stderr,
            )
    if outcome.failed:
        print(
            f"{len(outcome.failed)} of {len(outcome.pairs)} pairs could not be made, see above; "
            "the same command tries them again",
            file=sys.stderr,
        )
