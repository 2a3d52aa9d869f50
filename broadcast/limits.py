"""The intervals and limits of the broadcaster, each named once."""

from __future__ import annotations

from dataclasses import dataclass

from broadcast.slots import Runs
from engine.matching.score import HX_1_0, Profile


@dataclass(frozen=True, slots=True)
class WaveLimits:
    """Intervals in seconds, limits in counts; the defaults are those of design §2 and §6."""

    tick_s: float = 1.0
    """Between two evaluations of all broadcasts; what is due or rings does not wait for one."""
    poll_s: float = 1.0
    """Between two looks for cards that no socket took."""
    market_s: float = 60.0
    """Between two reads of what the categories' tasks cost."""
    resends_per_poll: int = 1000
    """Cards sent again in one poll."""
    ack_s: float = 0.2
    """Between two UPDATEs of what sockets took."""
    resend_after_s: float = 2.0
    """How long a card may stay unacknowledged before it is sent again."""
    refusals_in_row: int = 3
    """A hustler whom the database refused so often against the roster's word is left alone."""
    refusal_holds_s: float = 30.0
    """For so long, in the broadcast that was refused."""
    update_gap_s: float = 0.5
    """Between two updates of one broadcast to its poster."""
    offers_per_tick: int = 200
    """New offers per broadcast and tick, best score first."""
    open_offers: int = 10
    """Open offers per hustler."""
    first_offers: int = 16
    """Of a broadcast that nobody has been offered yet: a short list is early."""
    first_read: int = 48
    """Nearest hustlers read before a broadcast starts: enough where two of three have no place."""
    pairs_per_round: int = 16_384
    """Pairs considered in one round, best first; more begin the next round at once."""
    offers_per_round: int = 4_096
    """Pairs put to the database in one round."""
    offers_per_call: int = 250
    """Pairs put to the database in one call; halved when a call nears its time-out."""
    calls_at_once: int = 2
    """Inserts of one round in flight."""
    hustlers_per_call: int = 200
    """Hustlers read in one call."""
    hustlers_per_round: int = 2000
    """Hustlers read in one round; more begin the next round at once."""
    resend_until_s: float = 12.0
    """A card that waited for longer comes with the snapshot of its hustler's next session."""
    runs: Runs = "ALL"
    """Which of the running broadcasts this process runs."""
    slot_every_s: float = 1.0
    """Between two renewals of the leases."""
    slot_lease_s: float = 3.0
    """After so long without a renewal another broadcaster takes over."""
    block_s: float = 0.002
    """How long the broadcaster may hold the event loop."""
    backoff_s: float = 0.2
    """After the first failure of a loop; doubled with each one in a row, and jittered."""
    backoff_max_s: float = 3.0
    profile: Profile = HX_1_0
