"""The 1,797 handwritten digits that come with scikit-learn: 8 x 8 grey pictures of 0 to 9.

Source: the test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
Use when: trying Stillroom out, or testing it; no download. Too easy to rank methods with.
Shapes: images (1797, 1, 8, 8) uint8, the 17 grey levels 0..16 spread over 0..255.
"""

from __future__ import annotations

from tasks.core.contract import Data, Split
from tasks.core.preprocess import Preprocess


def load() -> Data:
    """All rows as `train`; `prepare` carves the other splits out of it."""
    import numpy as np
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    return Data(
        train=Split({"images": images}, found.target.astype(np.int64)),
        classes=tuple(str(i) for i in range(10)),
        preprocess=Preprocess(kind="image", channels=1, height=8, width=8),
    )
