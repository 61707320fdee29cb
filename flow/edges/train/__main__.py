"""`python -m flow.edges.train`."""

from __future__ import annotations

import sys

from flow.edges.train.command import main

if __name__ == "__main__":
    sys.exit(main())
