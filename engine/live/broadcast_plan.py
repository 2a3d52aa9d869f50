"""How a broadcast grows, as the operator sets it (product_spec §3.6)."""

from __future__ import annotations

from msgspec import Struct


class BroadcastPlan(Struct, frozen=True):
    """Miles and seconds; written into each broadcast when it starts, so a change is no surprise."""

    ttl_s: int = 600
    initial_radius_miles: float = 3.0
    max_radius_miles: float = 10.0
    expansion_step_miles: float = 2.0
    expansion_interval_s: int = 60
