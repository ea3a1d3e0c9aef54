"""Weights that share a few values, and training of those values.

Han et al., *Deep Compression*, 2015 (arXiv:1510.00149), section 3: a centroid's gradient is the sum of its weights'.
Shapes: K = centroids, n = weights of one tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tasks.core.kmeans import centroids, nearest


class Codebook:
    """A tensor's centroids (K,) and each weight's place among them (n,)."""

    def __init__(self, weight: Tensor, clusters: int) -> None:
        """By k-means; see tasks.core.kmeans."""
        values = weight.detach().cpu().contiguous().float().numpy().ravel()
        found = centroids(values, clusters)
        self.centroids = torch.from_numpy(found).to(weight.dtype)
        self.index = torch.from_numpy(nearest(values, found))
        self.shape = weight.shape

    def weight(self) -> Tensor:
        """Every weight replaced by its centroid, in the tensor's shape."""
        return self.centroids[self.index].reshape(self.shape)


class Shared(nn.Module):
    """A parametrization: K numbers in, the whole weight out. The backward pass adds the gradients up by centroid.

    A number is the centroid times the root of how many weights share it. So a step of the optimizer is as long as in
    the space of all weights: trained as they are, centroids of many weights would move that many times too far.
    """

    index: Tensor
    scale: Tensor

    def __init__(self, book: Codebook) -> None:
        super().__init__()
        self.shape = book.shape
        members = torch.bincount(book.index, minlength=len(book.centroids)).clamp(min=1)
        self._first = book.centroids
        self.register_buffer("index", book.index.to(torch.int32))
        self.register_buffer("scale", members.to(book.centroids.dtype).sqrt())

    def forward(self, numbers: Tensor) -> Tensor:
        """(K,) -> the tensor's shape."""
        return (numbers / self.scale).index_select(0, self.index).view(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """(K,) the numbers to start from; torch asks once, with the weight that the codebook was made of."""
        return self._first.to(weight) * self.scale


@contextmanager
def shared(module: nn.Module, books: Mapping[str, Codebook]) -> Iterator[None]:
    """Within it, the named tensors of `module` have only their centroids to train; afterwards they are plain again."""
    for name, book in books.items():
        layer, _, tensor = name.rpartition(".")
        parametrize.register_parametrization(module.get_submodule(layer), tensor, Shared(book))
    try:
        yield
    finally:
        for name in books:
            layer, _, tensor = name.rpartition(".")
            parametrize.remove_parametrizations(module.get_submodule(layer), tensor)
