"""`python -m patchbatch.transfer.train_images`."""

from __future__ import annotations

import sys

from patchbatch.commands import begin

if __name__ == "__main__":
    sys.exit(begin("patchbatch.transfer.train_images.command"))
