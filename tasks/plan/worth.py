"""What money, energy and carbon are reckoned with: part of `choose:`, all of it optional."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.core.frozen import Frozen


class WorthBlock(Frozen):
    """`choose.worth:` what money, energy and carbon are reckoned with. The defaults are assumed: put in yours.

    458 g CO2e a kWh: ember-energy.org/latest-insights/global-electricity-review-2026/2025-in-review ("In 2025, the
    average kilowatt hour produced globally resulted in emissions of 458 gCO2e"). Grids differ from 20 to 800.
    """

    price_per_hour: float = Field(0.05, gt=0, description="of a machine with `cores` cores; 0.05: a usual rented core")
    currency: str = Field("USD", min_length=1, description="of the price, for people")
    cores: int = Field(1, ge=1, le=1024, description="that the price is for, each as fast as the one measured")
    busy: float = Field(1.0, gt=0, le=1, description="share of the paid hours in which requests are answered")
    watts_per_core: float = Field(10.0, gt=0, description="of a busy core, where the processor's counter is unreadable")
    grams_co2_per_kwh: float = Field(
        458.0, ge=0, description="of the grid; 458: the world's in 2025 (Ember, Global Electricity Review 2026)"
    )
    run_energy: Literal["counter", "codecarbon"] = Field(
        "counter", description="what measures a run's own energy: the processor's counter if readable, or codecarbon"
    )
