"""Trying one sub-network: cut out, its norms measured anew, its accuracy on `val`."""

from __future__ import annotations

from tasks.core.contract import Data, Network
from tasks.core.device import best_device, bring_back, place, repeatable
from tasks.core.extract import cut_out
from tasks.core.fit import accuracy
from tasks.core.rehearsal import lap
from tasks.core.statistics import recalibrate
from tasks.core.supernet import Config, Space


def cut_and_tried(network: Network, data: Data, space: Space, config: Config) -> tuple[Network, float]:
    """The sub-network `config` of `network`, ready to answer, and its share of right answers on `val`.

    The norms are measured on `calibration`, which is a part of `train`.
    """
    part = cut_out(network, space, config)
    place(part.module, best_device())
    with repeatable():
        with lap("calibration", len(data.split("calibration"))):
            recalibrate(part.module, data.split("calibration"))
        with lap("answers", len(data.split("val"))):
            value = accuracy(part.module, data.split("val"), best_device())
    bring_back(part.module)
    return part, value
