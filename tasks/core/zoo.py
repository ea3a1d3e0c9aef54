"""Libraries of ready architectures, which are extras: imported when asked for, with clear words when they cannot be."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tasks.core.errors import TechniqueError


def zoo(library: str) -> Any:
    """The module `library`; TechniqueError when it is not installed, or was built for another PyTorch."""
    try:
        return import_module(library)
    except ImportError as e:
        raise TechniqueError(f"{library}: cannot be imported ({e}): pip install 'stillroom[{library}]'") from None
    except RuntimeError as e:
        if "torchvision::" not in str(e):
            raise
        raise TechniqueError(
            f"{library}: the installed torchvision was built for another PyTorch ({e}): install both from one index, "
            "for processors alone: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu"
        ) from None
