"""The buckets of all histograms, in seconds."""

from __future__ import annotations

from typing import Final

FAST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""For what machinery does."""
HUMAN_S: Final = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600)
"""For what people do within a broadcast of at most 600 s."""
