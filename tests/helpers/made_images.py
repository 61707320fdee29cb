"""Sets of labelled images on disk, small and made, in the layouts of the public ones."""

import csv
import hashlib
import struct

import numpy as np

from patchbatch.data import write_image

# CIFAR-100's pickles, by hand as Python 2 writes them with protocol 2.


def text(value):
    value = value if isinstance(value, bytes) else value.encode("latin1")
    return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value


def number(value):
    return b"K" + bytes([value])


def listed(items):
    return b"](" + b"".join(items) + b"e"


def array(values, kind="u1", order="|"):
    shape = b"".join(b"M" + struct.pack("<H", length) for length in values.shape)
    dtype = b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xff"
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
    return start + b"(K\x01(" + shape + b"t" + dtype + b"\x89" + text(values.tobytes()) + b"tb"


def pickled(pairs):
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in pairs) + b"u."


def write_cifar(folder, counts, monkeypatch, changes=None):
    """Write `train`, `test` and `meta`, and let the reader take them for the published ones.

    Returns the images `(N, 32, 32, 3)` and labels `(N,)`, training ones first.
    """
    from patchbatch.transfer.images import cifar  # noqa: PLC0415

    rng, images, labels, files = np.random.default_rng(0), [], [], {}
    for name, count in zip(("train", "test"), counts, strict=True):
        planes = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        fine = rng.integers(0, 100, count)
        images.append(planes.transpose(0, 2, 3, 1))
        labels.append(fine)
        fields = {
            "filenames": listed(text(f"{k}.png") for k in range(count)),
            "data": array(planes.reshape(count, -1)),
            "fine_labels": listed(number(int(one)) for one in fine),
            "coarse_labels": listed(number(0) for _ in fine),
            **(changes or {}),
        }
        (folder / name).write_bytes(pickled(fields.items()))
        files[name] = count
    (folder / "meta").write_bytes(
        pickled([("fine_label_names", listed(text(f"class {k}") for k in range(100)))])
    )
    for name, count in (*files.items(), ("meta", 0)):
        digest = hashlib.md5((folder / name).read_bytes()).hexdigest()  # noqa: S324 - as published
        monkeypatch.setitem(cifar.FILES, name, cifar.CifarFile(digest, count, 10_000_000))
    return np.concatenate(images), np.concatenate(labels)


def write_sheets(folder, classes=4, train=6, held_out=2, seed=0, noise=25):
    """Write sheets of classes that differ in colour and grain, 25 tiles a row."""
    rng = np.random.default_rng(seed)
    (folder / "sheets").mkdir(parents=True)
    rows = []
    for label in range(classes):
        look = rng.integers(0, 256, (4, 4, 3)).repeat(8, axis=0).repeat(8, axis=1)
        sheet = np.zeros((32 * -(-(train + held_out) // 25), 800, 3), np.uint8)
        for tile in range(train + held_out):
            down, right = divmod(tile, 25)
            one = np.clip(look + rng.normal(0, noise, look.shape), 0, 255)
            sheet[32 * down : 32 * down + 32, 32 * right : 32 * right + 32] = one
            rows.append([label, down, right, "train" if tile < train else "val", f"{label}_{tile}"])
        write_image(folder / "sheets" / f"n{label:02d}.jpg", sheet)
    write_rows(
        folder / "classes.csv", ("class", "wnid", "words"), [[k, f"n{k:02d}", "a, b"] for k in range(classes)]
    )
    write_rows(folder / "labels.csv", ("class", "row", "column", "split", "source"), rows)
    return folder


def write_rows(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_people(folder, people=6, images=3, side=32, singles=2, seed=0):
    """Write a folder a person; the last `singles` of them have one image."""
    rng = np.random.default_rng(seed)
    for person in range(people):
        face = rng.integers(0, 256, (8, 8)).repeat(side // 8, axis=0).repeat(side // 8, axis=1)
        (folder / f"P{person:02d}").mkdir(parents=True)
        for k in range(1 if person >= people - singles else images):
            one = np.clip(face + rng.normal(0, 25, face.shape), 0, 255).astype(np.uint8)
            write_image(folder / f"P{person:02d}" / f"{k}.png", one)
    return folder


def write_lfw(folder, people=20, images=3, side=32, folds=10):
    """Write ten folds of made people with three pictures each, with both lists."""
    rng = np.random.default_rng(0)
    listed_people, pairs = [str(folds)], [f"{folds}\t{people}"]
    for fold in range(folds):
        names = [f"P{fold}_{k:02d}" for k in range(people)]
        listed_people += [str(people), *(f"{name}\t{images}" for name in names)]
        pairs += [f"{name}\t1\t2" for name in names]
        pairs += [f"{a}\t1\t{b}\t3" for a, b in zip(names, names[1:] + names[:1], strict=True)]
        for name in names:
            face = rng.integers(0, 256, (8, 8)).repeat(side // 8, axis=0).repeat(side // 8, axis=1)
            (folder / "images" / name).mkdir(parents=True)
            for k in range(1, images + 1):
                noisy = np.clip(face + rng.normal(0, 30, face.shape), 0, 255).astype(np.uint8)
                write_image(folder / "images" / name / f"{name}_{k:04d}.jpg", noisy)
    (folder / "people.txt").write_text("\n".join(listed_people) + "\n")
    (folder / "pairs.txt").write_text("\n".join(pairs) + "\n")
    return folder
