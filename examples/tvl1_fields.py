"""Let another program compute flow fields of whole data sets, and keep them for `python -m benchmarks`.

The other program is scikit-image's TV-L1 (Zach, Pock & Bischof 2007): `pip install scikit-image`.

    python examples/tvl1_fields.py DATA FIELDS kitti2015 sintel-final
    python -m benchmarks suite DATA OUT --dataset kitti2015 sintel-final --method zero tvl1=FIELDS/{dataset}

Fields that are there are not computed again.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.flow.names import result_names
from patchbatch.data import load_image, write_flow
from patchbatch.data.datasets.pairs import find_pairs
from patchbatch.data.images import to_grey

try:
    from skimage.registration import optical_flow_tvl1
except ImportError:
    raise SystemExit("this example needs scikit-image: pip install scikit-image") from None


def main(data: str, fields: str, *datasets: str) -> None:
    """Write `FIELDS/DATASET/NAME.flo` for every pair, named as for the upload of its benchmark."""
    for dataset in datasets:
        for pair in find_pairs(dataset, data):
            file = Path(fields) / dataset / f"{result_names(pair)[0]}.flo"
            if file.exists():
                continue
            frame1, frame2 = (to_grey(load_image(path)) for path in (pair.image1, pair.image2))
            # scikit-image gives rows before columns.
            v, u = optical_flow_tvl1(frame1, frame2, dtype=np.float32)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_flow(file, np.stack([u, v], axis=-1))
            print(file)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit("usage: python examples/tvl1_fields.py DATA FIELDS DATASET ...")
    main(*sys.argv[1:])
