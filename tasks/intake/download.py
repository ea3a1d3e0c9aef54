"""Files from the internet, kept under .stillroom/downloads/ and trusted only by their checksum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.core.errors import DataError

FOLDER = Path(".stillroom/downloads")


def fetch(base_url: str, files: Mapping[str, str]) -> dict[str, Path]:
    """Where each of `files` (name: checksum, as `md5:...` or `sha256:...`) lies; downloads what is not there yet.

    Raises DataError when the network or the checksum fails; a file that failed is not kept.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    found = {}
    for name, checksum in files.items():
        url = base_url + name
        try:
            found[name] = Path(pooch.retrieve(url, known_hash=checksum, fname=name, path=FOLDER))
        except (requests.RequestException, OSError) as e:
            raise DataError(f"{url}: cannot be downloaded ({type(e).__name__})") from None
        except ValueError:
            raise DataError(f"{url}: what came has another checksum than {checksum}; nothing was kept") from None
    return found
