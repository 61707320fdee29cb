"""`python -m patchbatch.descriptors.train`."""

from __future__ import annotations

import sys

from patchbatch.descriptors.train.command import main

if __name__ == "__main__":
    sys.exit(main())
