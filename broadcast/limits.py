"""The intervals and limits of the broadcaster, each named once."""

from __future__ import annotations

from dataclasses import dataclass

from engine.matching.score import HX_1_0, Profile


@dataclass(frozen=True, slots=True)
class WaveLimits:
    """Intervals in seconds, limits in counts; the defaults are those of design §2 and §6."""

    tick_s: float = 0.5
    """Between two evaluations of all broadcasts."""
    poll_s: float = 1.0
    """Between two reads of the active set, which catch every lost wake-up."""
    ack_s: float = 0.2
    """Between two UPDATEs of what sockets took."""
    resend_after_s: float = 2.0
    """How long a card may stay unacknowledged before it is sent again."""
    refusal_holds_s: float = 30.0
    """A refused pair is asked again after this, or when the hustler's generation changes."""
    deferral_holds_s: float = 5.0
    """A pair deferred by the hustler's cap is asked again after this."""
    update_gap_s: float = 0.5
    """Between two updates of one broadcast to its poster."""
    offers_per_tick: int = 200
    """New offers per broadcast and tick, best score first."""
    open_offers: int = 10
    """Open offers per hustler."""
    pairs_per_call: int = 4096
    """Pairs put to the database in one call."""
    asked_first: int = 16
    """So many nearest hustlers of a new broadcast are evaluated first: a short list is early."""
    resends_per_poll: int = 1000
    """Cards sent again, and hustlers looked for, in one poll."""
    block_s: float = 0.004
    """How long the broadcaster may hold the event loop."""
    backoff_s: float = 0.2
    """After the first failure of a loop; doubled with each one in a row, and jittered."""
    backoff_max_s: float = 3.0
    profile: Profile = HX_1_0
