"""Random changes to a batch of pictures that leave their label true.

He et al., *Deep Residual Learning*, 2015 (arXiv:1512.03385), section 4.2: mirror, and crop from a padded picture.

Shapes: N = batch, C = channels, H, W = height and width. Works on raw uint8 as on float.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def flip(images_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored left to right with probability one half."""
    mirror_N = torch.rand(len(images_NCHW), generator=generator) < 0.5
    return torch.where(mirror_N[:, None, None, None], images_NCHW.flip(3), images_NCHW)


def crop(images_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to an eighth of its height and width; the gap repeats the border."""
    N, _, H, W = images_NCHW.shape
    rows_NH = _moved(N, H, max(1, H // 8), generator)
    columns_NW = _moved(N, W, max(1, W // 8), generator)
    n = torch.arange(N)[:, None, None]
    moved_NHWC = images_NCHW.permute(0, 2, 3, 1)[n, rows_NH[:, :, None], columns_NW[:, None, :]]
    return moved_NHWC.permute(0, 3, 1, 2)


def _moved(n: int, length: int, reach: int, generator: torch.Generator) -> Tensor:
    """(n, length) source positions: 0..length-1 moved by -reach..reach, held within the border."""
    by = torch.randint(-reach, reach + 1, (n, 1), generator=generator)
    return (torch.arange(length)[None] + by).clamp(0, length - 1)


CHANGES = {"flip": flip, "crop": crop}


def augment(images_NCHW: Tensor, names: Sequence[str], generator: torch.Generator) -> Tensor:
    """Apply the changes called `names` (of CHANGES), in that order; none leaves the batch as it is."""
    for name in names:
        images_NCHW = CHANGES[name](images_NCHW, generator)
    return images_NCHW
