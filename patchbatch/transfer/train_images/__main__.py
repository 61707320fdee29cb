"""`python -m patchbatch.transfer.train_images`."""

from __future__ import annotations

import sys

from patchbatch.transfer.train_images.command import main

if __name__ == "__main__":
    sys.exit(main())
