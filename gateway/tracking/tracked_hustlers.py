"""State of one tracked hustler, and the conversion of its fixes and their rejections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract.client import Location
from gateway.session.connection import Connection
from geo import fixes
from geo.presence.presence import CellSlot

ANOTHER_SOURCE: Final = "another_source"
"""The reason of HX021 for a position that is ignored, however good it is."""

Source = Connection | Literal["REST"]
"""Where a hustler's position may come from: one socket, or REST calls."""


@dataclass(slots=True)
class TrackedHustler:
    """A hustler in LIVE mode or on the way to a task. Times are monotonic seconds."""

    user: UserId
    source: Source | None
    """The accepted source: the latest to switch LIVE mode on; None once that socket has closed."""
    track: fixes.Track
    heard_at: float
    fixed_at: float
    """When the last good fix was measured: a phone may tell late where it was."""
    live: bool = False
    generation: int | None = None
    """Order among sources; None until Valkey gave one."""
    seq: int = 0
    slot: CellSlot | None = None
    kept_alive_at: float = 0.0
    """When last-seen was last refreshed without a position."""

    def ignores(self, source: Source) -> Literal[True]:
        """Ignores a position that comes from beside the source.

        Raises HX021 (`another_source`) to say so: for every REST call, and once to a socket.
        """
        speaks = "REST" if isinstance(self.source, str | None) else self.source.session.session_id
        if isinstance(source, Connection):
            if source.ignored_for == speaks:
                return True
            source.ignored_for = speaks
        raise errors.refusal(
            "HX021",
            "LOCATION",
            "Another device is the source of the position: SUBSCRIBE_LIVE_MODE makes this one it.",
            reason=ANOTHER_SOURCE,
        )

    def accept_fix(self, track: fixes.Track, now: float, age_s: float) -> None:
        """Sets the position to that of an accepted fix, measured `age_s` ago."""
        self.track = track
        self.heard_at = self.kept_alive_at = now
        self.fixed_at = now - age_s


def fix_of(location: Location, at_s: float) -> fixes.Fix:
    """Returns a client's location as a fix for the checks; `at_s` in Unix seconds."""
    return fixes.Fix(location.lat, location.lng, at_s, location.accuracy_m)


def refused(rejection: fixes.FixRejection) -> errors.Refusal:
    """Returns HX021 with the rule that the fix broke."""
    return errors.refusal(
        "HX021", "LOCATION", f"The location was refused: {rejection.value}.", reason=rejection.value
    )
