"""A Hugging Face data set as one table a split; the only importer of the library `datasets`.

From the hub at one commit, from a folder that `save_to_disk` wrote, or from a folder of parquet files. No code of a
data set is run: the library has not had that since its version 4, and what it reads here is Arrow and parquet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core.errors import DataError
from tasks.core.hub import COMMIT, silence
from tasks.intake.hub_table import HubData, HubTable
from tasks.intake.parquet import split_files
from tasks.intake.split_names import SPLIT_OF, splits_by_name


def read(path: str, config: str | None, revision: str | None, splits: Mapping[Any, str] | None) -> HubData:
    """The splits asked for, or those of the usual names; DataError when it cannot be found, or has no train."""
    datasets = _library()
    folder = Path(path).expanduser()
    if folder.is_dir():
        if config is not None or revision is not None:
            raise DataError(f"{path}: config and revision are for a data set of the hub; this is a folder")
        found = _of_folder(datasets, folder)
    else:
        found = _of_hub(datasets, path, config, revision)
    chosen = dict(splits) if splits else splits_by_name((n for n in found if n in SPLIT_OF), path)
    for name in ("train", *chosen):
        if chosen.get(name) not in found:
            raise DataError(f"{path}: no split {chosen.get(name, name)!r} for {name} (it has {', '.join(found)})")
    return HubData(path, {ours: HubTable(f"{path}: {name}", found[name]) for ours, name in chosen.items()})


def _library() -> Any:
    silence()
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    try:
        import datasets
    except ImportError:
        raise DataError(
            "source huggingface needs the package datasets, which is not installed; `pip install "
            "'stillroom[huggingface]'`"
        ) from None
    return datasets


def _of_folder(datasets: Any, folder: Path) -> dict[str, Any]:
    """What save_to_disk wrote, mapped into memory; or parquet files, read into it."""
    from pyarrow import ArrowException, parquet

    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            found = datasets.load_from_disk(str(folder))
            return dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}
        tables = {n: [parquet.read_table(file) for file in files] for n, files in split_files(folder).items()}
        return {n: datasets.concatenate_datasets([datasets.Dataset(t) for t in ts]) for n, ts in tables.items()}
    except (OSError, ValueError, KeyError, ArrowException) as e:
        raise DataError(f"{folder}: not a data set that can be read ({_line(e)})") from None


def _of_hub(datasets: Any, name: str, config: str | None, revision: str | None) -> dict[str, Any]:
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise DataError(f"{name}: there is no such folder; allowed: a folder, or owner/name of the Hugging Face hub")
    if revision is None or not COMMIT.match(revision):
        raise DataError(
            f"{name}: no folder here, and of the hub it needs `revision`: found {revision!r}; allowed: the 40 hex "
            "digits of a commit, as the hub's page of the data set's files shows it"
        )
    try:
        return dict(datasets.load_dataset(name, config, revision=revision))
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as e:
        raise DataError(f"{name} at {revision[:12]}: cannot be had from the hub or its cache ({_line(e)})") from None


def _line(e: Exception) -> str:
    return str(e).splitlines()[0] if str(e) else type(e).__name__
