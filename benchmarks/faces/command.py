"""`python -m benchmarks faces`: are two faces of one person? Hand-made features through the verifiers."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.arguments import add_json, check_outputs
from patchbatch.errors import PatchBatchError

DESCRIPTION = """\
Verify LFW's pairs of View 2 with histograms of oriented gradients: plain and centred cosine, Joint Bayesian,
a Siamese head in its place, and ensembles of two histograms. All that is learned is learned on folds 6 to 10
and tested on folds 1 to 5; the rows "splits" stay within folds 6 to 10 and learn anew for each."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument("root", metavar="ROOT", help="folder of people.txt, pairs.txt and the images")
    parser.add_argument("--images", metavar="DIR", help="folder of the people's folders, if not in ROOT")
    add_json(parser)
    parser.add_argument("--plot", metavar="FILE", help="draw the ROC curves (.png, .svg, .pdf; matplotlib)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the table and write the files."""
    from benchmarks.report import check_plot, write_json  # noqa: PLC0415 (only to run)

    check_outputs(arguments.json, arguments.plot, arguments.root)
    check_plot("--plot", arguments.plot)
    if not Path(arguments.root).is_dir():
        raise PatchBatchError(f"{arguments.root} does not exist; give the folder of LFW's lists")
    # Imported after what can be said without: torch takes seconds.
    from benchmarks.faces import study  # noqa: PLC0415

    outcomes = study.run(arguments.root, arguments.images)
    report = study.make_report(outcomes)
    print(study.format_table(report["rows"]))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.plot is not None:
        study.plot_roc(outcomes, arguments.plot)
    return 0
