"""prepare: raw data -> artifacts/data: read, carve the splits, check against the rules, write memory-mapped arrays.

A broken rule stops here: nothing is written, so nothing downstream runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks import validate
from tasks.core.arrays import pick
from tasks.core.artifact import DATA, write_json
from tasks.core.contract import Data, Split
from tasks.core.dataset import SPLITS, write_data
from tasks.core.errors import DataError
from tasks.core.preprocess import TEXT_INPUTS, TOKENIZER
from tasks.core.seed import seed_for
from tasks.intake.facts import RowFacts, row_facts
from tasks.intake.labels import class_ids
from tasks.intake.split import carve, choose_rows
from tasks.intake.validation import Validation, page
from tasks.plan import plugin
from tasks.plan.schema import DataBlock, Settings


def run(settings: Settings) -> None:
    """Write artifacts/data; DataError when the data cannot be read or break a rule."""
    block = settings.plan.data
    print(f"reading {block.source}", flush=True)
    raw = require_sound(plugin("sources", block.source).load(**block.params), block.source)
    facts = {name: row_facts(split) for name in SPLITS if (split := getattr(raw, name)) is not None}
    data, facts = carve_splits(raw, facts, block, seed_for(settings.plan.seed, "data"))
    data = normalised(data, facts["train"], block)
    print("rows: " + ", ".join(f"{name} {len(data.split(name))}" for name in SPLITS), flush=True)
    result = validate.check(data, facts, settings.expectations)
    if result.broken:
        raise DataError(result.complaint())
    print(result.verdict, flush=True)
    write(DATA, data, result)


def require_sound(data: Data, source: str) -> Data:
    """`data`, with labels as int64; DataError when what a source returned is not as tasks.core.contract says."""
    where = f"source {source!r}"
    if len(set(data.classes)) != len(data.classes):
        raise DataError(f"{where}: two classes have the same name: {', '.join(data.classes)}")
    splits = {name: split for name in SPLITS if (split := getattr(data, name)) is not None}
    for name, split in splits.items():
        _require_rows(split, data, f"{where}, {name}")
    ids = {n: replace(s, labels=class_ids(s.labels, len(data.classes), f"{where}, {n}")) for n, s in splits.items()}
    return replace(data, **ids)


def _require_rows(split: Split, data: Data, where: str) -> None:
    """DataError when the rows of a split are none, too many for its labels, or unlike those of train."""
    if not len(split) or not split.inputs:
        raise DataError(f"{where}: no rows")
    expected = {key: (rows.shape[1:], np.dtype(rows.dtype)) for key, rows in data.train.inputs.items()}
    found = {key: (rows.shape[1:], np.dtype(rows.dtype)) for key, rows in split.inputs.items()}
    if found != expected:
        raise DataError(f"{where}: inputs {found}; train has {expected}")
    for key, rows in split.inputs.items():
        if len(rows) != len(split):
            raise DataError(f"{where}: {len(rows)} rows in {key!r}, {len(split)} labels; the numbers must be equal")
    if split.groups is not None and len(split.groups) != len(split):
        raise DataError(f"{where}: {len(split.groups)} groups, {len(split)} labels; the numbers must be equal")
    about = data.preprocess
    wanted = found
    if about.kind == "image":
        wanted = {"images": ((about.channels, about.height, about.width), np.dtype(np.uint8))}
    elif about.kind == "text":
        wanted = dict.fromkeys(TEXT_INPUTS, ((about.length,), np.dtype(np.int64)))
    elif about.kind == "audio":
        wanted = {"waveform": ((about.sound.samples if about.sound else 0,), np.dtype(np.int16))}
    if list(found.items()) != list(wanted.items()):
        raise DataError(f"{where}: inputs {found}; `preprocess` of kind {about.kind} asks for {wanted}")
    if about.kind == "text" and TOKENIZER not in data.files:
        raise DataError(f"{where}: no {TOKENIZER} in Data.files; `preprocess` of kind text asks for one")


def carve_splits(
    data: Data, facts: Mapping[str, RowFacts], block: DataBlock, seed: int
) -> tuple[Data, dict[str, RowFacts]]:
    """`data` with all four splits, and the facts of each: what the source leaves out is carved out of train.

    test comes off first, then val out of what is left; calibration is a part of train and stays in it. Exact copies
    stay on one side, or carving would itself make train and test overlap.
    """
    kept = dict(facts)
    for offset, (name, share) in enumerate((("test", block.test_share), ("val", block.val_share))):
        if getattr(data, name) is None:
            labels, twins = data.train.labels, kept["train"].digest
            rest, part = carve(labels, share, seed + offset, classes=data.classes, part=name, twins=twins)
            data = replace(data, **{name: pick(data.train, part), "train": pick(data.train, rest)})  # type: ignore[arg-type]
            kept |= {name: kept["train"].take(part), "train": kept["train"].take(rest)}
    if data.calibration is None:
        rows = choose_rows(data.train.labels, block.calibration_rows, seed + 2)
        data = replace(data, calibration=pick(data.train, rows))
        kept["calibration"] = kept["train"].take(rows)
    return data, kept


def normalised(data: Data, train: RowFacts, block: DataBlock) -> Data:
    """`data` with a mean and a deviation a channel in its `preprocess`: the plan's, the source's, or those of train.

    Raises DataError when the plan's do not fit the pictures' channels.
    """
    about = data.preprocess
    if block.mean or block.std:
        if about.kind != "image" or not len(block.mean) == len(block.std) == about.channels:
            found = f"{len(block.mean)} and {len(block.std)} numbers for {about.channels} channels of kind {about.kind}"
            raise DataError(f"data: mean and std: found {found}; allowed: one of each a channel, and pictures only")
        return replace(data, preprocess=about.model_copy(update={"mean": block.mean, "std": block.std}))
    if about.kind != "image" or about.mean:
        return data
    mean, std = train.moments(about.height * about.width)
    return replace(data, preprocess=about.model_copy(update={"mean": mean, "std": std}))


def write(folder: Path, data: Data, result: Validation) -> None:
    """Write everything beside `folder` first and then give it its name, so that a crash leaves no half data set."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write_data(partial, data)
        write_json(partial / "validation.json", result)
        (partial / "validation.html").write_text(page(result), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
