"""The committed corpus: small good files of every kind. `python -m tests.fuzz.seeds` makes it anew."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from flow.settings import flow_settings, settings_text
from patchbatch.data.formats import write_flow
from patchbatch.data.matches_io import write_matches
from tests.helpers.input_files import INPUTS

CORPUS = Path(__file__).resolve().parent / "corpus"
RNG = np.random.default_rng(0)


def seeds() -> dict[str, bytes]:
    """Return the files by their place in the corpus."""
    files = {}
    for number, file in enumerate(INPUTS):
        if len(file.data) < 3000 and file.data:
            files[f"image/{number:03d}{Path(file.name).suffix}"] = file.data
    flow = RNG.normal(0, 9, (3, 4, 2)).astype(np.float32)
    known = RNG.random((3, 4)) > 0.2
    for name, suffix in (("flo", ".flo"), ("kitti", ".png"), ("pfm", ".pfm"), ("npz", ".npz")):
        path = CORPUS / f"part{suffix}"
        write_flow(path, flow, known, known.astype(np.float32))
        files[f"{name}/a{suffix}"] = path.read_bytes()
        path.unlink()
    for name, array in (
        ("small", flow),
        ("grey", np.zeros((4, 5), np.float32)),
        ("texts", np.array(["a", "bc"])),
    ):
        stream = io.BytesIO()
        np.save(stream, array)
        files[f"npy/{name}.npy"] = files[f"edges/{name}.npy"] = stream.getvalue()
    text = CORPUS / "part.txt"
    write_matches(text, flow[0], flow[1], known[0])
    files["matches/a.txt"] = text.read_bytes()
    text.unlink()
    files["matches/words.txt"] = b"1 2 3 4 nan\n\n1e3 -2 .5 4\n"
    files["settings/default.toml"] = settings_text(flow_settings()).encode()
    files["settings/short.toml"] = b'[matching]\nmethod = "exact"\n'
    files["weights/a.safetensors"] = save({"a": flow, "b": np.zeros(3, np.float16)}, {"name": "x"})
    files["pickle2016/a.pkl"] = ("(lp0\n" + 4 * (_old_array(flow[0]) + "a") + ".").encode("ascii")
    files["pickle2016/list.pkl"] = pickle.dumps([[1, "a", None], {"b": 2.0}], protocol=0)
    files["pairs/a.csv"] = b"first,second,same,fold\n0,1,1,0\n2,3,0,1\n"
    files["pairs/short.csv"] = b"0 1\n2 3\n"
    stream = io.BytesIO()
    np.savez(stream, features=flow.reshape(6, 4), labels=np.arange(6))
    files["features/a.npz"] = stream.getvalue()
    return files


def _old_array(array: np.ndarray) -> str:
    """Write an array as Python 2 pickled it, in protocol 0."""
    shape = "".join(f"I{length}\n" for length in array.shape)
    return (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        f"(I1\n({shape}tcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        f"I00\nS{repr(array.tobytes())[1:]}\ntb"
    )


def main() -> None:
    """Write those that are missing or differ."""
    for place, data in seeds().items():
        path = CORPUS / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


if __name__ == "__main__":
    main()
