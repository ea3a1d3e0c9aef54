"""Well-known public data sets by name: from the folder in STILLROOM_DATA, else from a download with a checksum.

Use when: you want the data of the examples and benchmarks (`stillroom use NAME`).

| name | under STILLROOM_DATA | download |
| --- | --- | --- |
| fashion_mnist | fashion-mnist.npz (x_train, y_train, x_test, y_test) | four IDX files of Zalando Research, 31 MB |
| cifar10 | cifar10/{train,test}.parquet (img, label) | the authors' binary version, 162 MB |

Shapes: images (N, C, H, W) uint8, C = 1 and 28x28, or C = 3 and 32x32. Both come without a val split.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.core.contract import Data, Split
from tasks.core.errors import DataError
from tasks.core.preprocess import Preprocess
from tasks.intake.download import fetch
from tasks.sources import npz, parquet_images

if TYPE_CHECKING:
    import numpy as np

FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR_FILES = {"cifar-10-binary.tar.gz": "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load(*, name: Annotated[Literal["fashion_mnist", "cifar10"], Field(description="which data set")]) -> Data:
    """The data set `name`; DataError when it is neither under STILLROOM_DATA nor to be had from the network."""
    place = "fashion-mnist.npz" if name == "fashion_mnist" else "cifar10"
    root = os.environ.get("STILLROOM_DATA")
    if root and (Path(root) / place).exists():
        path = str(Path(root) / place)
        return npz.load(path=path) if name == "fashion_mnist" else parquet_images.load(path=path)
    try:
        return _fashion() if name == "fashion_mnist" else _cifar()
    except DataError as e:
        said = f"STILLROOM_DATA is {root!r}, which has no {place}" if root else "STILLROOM_DATA is not set"
        raise DataError(f"{name}: {said}, and {e}; set STILLROOM_DATA to a folder that has {place}") from None


def _fashion() -> Data:
    import gzip

    import numpy as np

    files = fetch(FASHION_URL, FASHION_FILES)
    arrays = {}
    for file, path in files.items():
        raw = gzip.decompress(path.read_bytes())
        # IDX: two zero bytes, the type (8: uint8), the number of axes, then each axis' length, big-endian
        axes = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
        arrays[file] = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(axes)
    splits = {
        split: (arrays[f"{stem}-images-idx3-ubyte.gz"][:, None], arrays[f"{stem}-labels-idx1-ubyte.gz"])
        for split, stem in (("train", "train"), ("test", "t10k"))
    }
    return _data(splits, FASHION_CLASSES)


def _cifar() -> Data:
    import tarfile

    import numpy as np

    (path,) = fetch(CIFAR_URL, CIFAR_FILES).values()
    batches: dict[str, list[np.ndarray[Any, Any]]] = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            if not member.name.endswith(".bin"):
                continue
            content = archive.extractfile(member)
            assert content is not None, member.name
            # one byte of label, then 32x32 pixels of red, of green and of blue
            rows = np.frombuffer(content.read(), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
            batches["test" if "test" in member.name else "train"].append(rows)
    rows_of = {split: np.concatenate(parts) for split, parts in batches.items()}
    return _data({s: (r[:, 1:].reshape(-1, 3, 32, 32), r[:, 0]) for s, r in rows_of.items()}, CIFAR_CLASSES)


def _data(splits: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], classes: tuple[str, ...]) -> Data:
    import numpy as np

    made = {name: Split({"images": x}, y.astype(np.int64)) for name, (x, y) in splits.items()}
    _, channels, height, width = splits["train"][0].shape
    about = Preprocess(kind="image", channels=channels, height=height, width=width)
    return Data(made["train"], classes, about, test=made["test"])
