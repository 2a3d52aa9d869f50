"""Time-outs of a connection's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.contract import limits


@dataclass(frozen=True, slots=True)
class Patience:
    """Time-outs of a connection's steps, in seconds."""

    head_within_s: float = limits.HEAD_WITHIN_S
    body_stall_s: float = limits.BODY_STALL_S
    body_within_s: float = limits.BODY_WITHIN_S
    answer_stall_s: float = limits.ANSWER_STALL_S
    keep_alive_s: float = limits.KEEP_ALIVE_S
    linger_s: float = limits.LINGER_S
    linger_within_s: float = limits.LINGER_WITHIN_S


PATIENCE: Final = Patience()
