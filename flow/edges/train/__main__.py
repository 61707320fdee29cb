"""`python -m flow.edges.train`."""

from __future__ import annotations

import sys

from patchbatch.commands import begin

if __name__ == "__main__":
    sys.exit(begin("flow.edges.train.command"))
