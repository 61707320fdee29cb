"""`python -m benchmarks tables`: the pages of the docs that are made from the tables."""

from __future__ import annotations

import argparse

PAGES = ("tables", "settings")
DESCRIPTION = """\
Print a page of the docs that is made from the package's own tables: tables (docs/tables.md), all names that
can be typed; settings (docs/settings.md), every setting of the flow pipeline."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words and arguments of the sub-command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "page", nargs="?", choices=PAGES, default="tables", metavar="PAGE",
        help=f"{', '.join(PAGES)} (%(default)s)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the page."""
    from benchmarks.tables import names, settings  # noqa: PLC0415 (only to run)

    pages = {"tables": names.page, "settings": settings.page}
    print(pages[arguments.page](), end="")
    return 0
