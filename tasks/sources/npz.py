"""Arrays in one .npz file, as `numpy.savez` writes them: pictures or plain numbers.

Use when: the data fit in memory. MNIST, Fashion-MNIST and CIFAR-10 are often passed around like this.
Shapes: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1 or 3 become `images` (N, C, H, W); floats (N, ...)
become `features` float32 (N, ...). Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.core.contract import Data, Rows, Split
from tasks.core.errors import DataError, nearest
from tasks.core.preprocess import Preprocess
from tasks.intake.labels import class_count, class_ids

if TYPE_CHECKING:
    import numpy as np

Name = Annotated[str, Field(min_length=1, description="name of an array in the file")]
Layout = Literal["auto", "nchw", "nhwc"]
DEFAULTS = ("x_val", "y_val", "x_test", "y_test")


def load(
    *,
    path: Annotated[str, Field(min_length=1, description="the .npz file")],
    x_train: Name = "x_train",
    y_train: Name = "y_train",
    x_val: Name = "x_val",
    y_val: Name = "y_val",
    x_test: Name = "x_test",
    y_test: Name = "y_test",
    class_names: Name = "class_names",
    layout: Annotated[Layout, Field(description="which axis holds the channels; auto: the one of 1 or 3")] = "auto",
) -> Data:
    """Read the file; a val or test pair under its default name may be missing, and so may `class_names`."""
    archive = _Archive(Path(path))
    labels = archive.read(y_train)
    names = tuple(str(n) for n in archive.read(class_names)) if class_names in archive.names else ()
    classes = names or tuple(str(i) for i in range(class_count(labels)))
    splits: dict[str, Split] = {}
    for split, x, y in (("train", x_train, y_train), ("val", x_val, y_val), ("test", x_test, y_test)):
        if x in DEFAULTS and y in DEFAULTS and not {x, y} & archive.names:
            continue
        ids = class_ids(labels if split == "train" else archive.read(y), len(classes), f"{path}: {y}")
        rows = archive.read(x)
        if len(rows) != len(ids):
            raise DataError(f"{path}: {len(rows)} rows in {x}, {len(ids)} labels in {y}; the numbers must be equal")
        splits[split] = Split(_inputs(rows, f"{path}: {x}", layout), ids)
    about = _preprocess(splits["train"])
    return Data(splits["train"], classes, about, val=splits.get("val"), test=splits.get("test"))


class _Archive:
    """An .npz file that is read one array at a time."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._path = path
        try:
            self._file = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
            raise DataError(f"{path}: not an .npz file that can be read ({e})") from None
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: a single array; an .npz file with named arrays is needed")
        self.names = frozenset(self._file.files)

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """The array `name` with at least one row; DataError when it is missing, empty or damaged."""
        if name not in self.names:
            raise DataError(
                f"{self._path}: no array {name!r}{nearest(name, self.names)} (it has {', '.join(sorted(self.names))})"
            )
        try:
            found: np.ndarray[Any, Any] = self._file[name]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
            raise DataError(f"{self._path}: array {name!r} cannot be read ({e})") from None
        if found.ndim == 0 or len(found) == 0:
            raise DataError(f"{self._path}: array {name!r} has no rows")
        return found


def _inputs(rows: np.ndarray[Any, Any], where: str, layout: Layout) -> dict[str, Rows]:
    import numpy as np

    if rows.dtype.kind == "f" and rows.ndim >= 2:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the data rules catch
            return {"features": rows.astype(np.float32, copy=False)}
    if rows.dtype != np.uint8 or rows.ndim not in (3, 4):
        raise DataError(
            f"{where}: {rows.dtype} of shape {rows.shape}; allowed: uint8 pictures (N, H, W), (N, H, W, C) or "
            f"(N, C, H, W), or floats (N, features)"
        )
    if rows.ndim == 3:
        return {"images": rows[:, None]}
    fits = [
        name for name, axis in (("nchw", 1), ("nhwc", 3)) if rows.shape[axis] in (1, 3) and layout in ("auto", name)
    ]
    if len(fits) != 1:
        why = "both axes could be the channels; give `layout`" if fits else "no channel axis of 1 or 3"
        raise DataError(f"{where}: pictures of shape {rows.shape[1:]}, layout {layout}: {why}")
    return {"images": rows if fits == ["nchw"] else rows.transpose(0, 3, 1, 2)}


def _preprocess(train: Split) -> Preprocess:
    if "features" in train.inputs:
        return Preprocess(kind="array")
    _, channels, height, width = train.inputs["images"].shape
    return Preprocess(kind="image", channels=channels, height=height, width=width)
