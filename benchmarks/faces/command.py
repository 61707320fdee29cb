"""`python -m benchmarks faces`: are two faces of one person? Hand-made features through the verifiers."""

from __future__ import annotations

import argparse

from benchmarks.arguments import add_json, check_folders

DESCRIPTION = """\
Verify LFW's pairs of View 2 with histograms of oriented gradients: plain and centred cosine, Joint Bayesian,
a Siamese head in its place, and ensembles of two histograms. All that is learned is learned on folds 6 to 10
and tested on folds 1 to 5; the rows "splits" stay within folds 6 to 10 and learn anew for each."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command and its arguments."""
    parser = commands.add_parser("faces", help="face verification on LFW", description=DESCRIPTION)
    parser.add_argument("root", metavar="ROOT", help="folder of people.txt, pairs.txt and the images")
    parser.add_argument("--images", metavar="DIR", help="folder of the people's folders, if not in ROOT")
    add_json(parser)
    parser.add_argument("--plot", metavar="FILE", help="draw the ROC curves (.png, .svg, .pdf; matplotlib)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the table and write the files."""
    # Imported after the arguments are known to be right, so that --help and usage errors are quick.
    from benchmarks import report as table  # noqa: PLC0415
    from benchmarks.faces import study as faces  # noqa: PLC0415

    check_folders(arguments.json, arguments.plot)
    if arguments.plot is not None:
        faces.check_plot(arguments.plot)
    outcomes = faces.run(arguments.root, arguments.images)
    report = faces.make_report(outcomes)
    print(faces.format_table(report["rows"]))
    if arguments.json is not None:
        table.write_json(arguments.json, report)
    if arguments.plot is not None:
        faces.plot_roc(outcomes, arguments.plot)
    return 0
