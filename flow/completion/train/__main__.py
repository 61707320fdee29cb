"""`python -m flow.completion.train`."""

from __future__ import annotations

import sys

from flow.completion.train.command import main

if __name__ == "__main__":
    sys.exit(main())
