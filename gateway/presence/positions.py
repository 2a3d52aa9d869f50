"""Positions of hustlers: whose are believed, and where they go (design §4).

A hustler in LIVE mode goes to presence and is matchable; whoever drives to a task in ACCEPTED is
seen by its poster, LIVE or not.  Sockets and REST use the same entries.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable

import structlog

from engine import errors
from engine.commands import Commands, EndReason
from engine.errors import Refusal
from engine.ids import TaskId, UserId
from engine.queries import Queries
from engine.steady import steadily
from gateway import limits
from gateway.delivery.hub import Hub
from gateway.presence.en_route import EnRoute
from gateway.presence.heartbeats import Heartbeats
from gateway.presence.travellers import Source, Traveller, fix_of, refused
from gateway.ws.connection import Connection
from gateway.ws.messages import GoLive, Moved
from geo import distance, fixes
from geo.points import LatLng
from geo.units import METRES_PER_MILE

log = structlog.get_logger(__name__)


class Positions:
    """hustler → traveller, and the work that follows from a move."""

    def __init__(
        self,
        hub: Hub,
        commands: Commands,
        queries: Queries,
        heartbeats: Heartbeats,
        en_route: EnRoute,
        *,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._commands = commands
        self._queries = queries
        self._heartbeats = heartbeats
        self._en_route = en_route
        self._unix = unix
        self._travellers: dict[UserId, Traveller] = {}
        self._changed: set[UserId] = set()
        self._arrived: set[tuple[UserId, TaskId]] = set()
        self._suspects: set[UserId] = set()
        self._returned: dict[UserId, Connection] = {}
        self._work = asyncio.Event()

    # ── LIVE mode ────────────────────────────────────────────────────────────────────────────────

    async def go_live(self, user: UserId, wish: GoLive, source: Source = "REST") -> None:
        """Switches LIVE mode on; from now on this source alone is believed.

        HX021 for a bad fix, HX904 too soon, HX905 banned, HX503 for who may not work.
        """
        known = self._travellers.get(user)
        fix = fix_of(wish.location, wish.at.timestamp() if wish.at else self._unix())
        track = self._judged(user, known, fix)
        await self._commands.go_live(user, wish.radius_miles, wish.categories)
        self._believe_from(user, source, track, live=True)
        self._hub.may_have_reopened(user)

    async def end_live(self, user: UserId, reason: EndReason) -> None:
        """Ends LIVE mode; the hustler leaves presence at once."""
        await self._commands.end_live(user, reason)
        await self._leave(user)

    async def _leave(self, user: UserId) -> None:
        self._returned.pop(user, None)
        traveller = self._travellers.get(user)
        if traveller is None:
            return
        traveller.live = False
        if user not in self._en_route:
            del self._travellers[user]
        await self._heartbeats.stop(traveller)

    # ── Moves ────────────────────────────────────────────────────────────────────────────────────

    async def move(self, user: UserId, moved: Moved, source: Source = "REST") -> None:
        """A new position. HX021 for one that is not believed, HX903 when it is nobody's business."""
        if self.moved(user, moved, source):
            return
        fix = fix_of(moved.location, moved.at.timestamp() if moved.at else self._unix())
        live = (await self._queries.live(user)).state != "OFF"
        if not live:
            await self._en_route.load([user])
            if user not in self._en_route:
                raise errors.refusal("HX903", "LIVE-3")
        track = self._judged(user, self._travellers.get(user), fix)
        self._believe_from(user, source, track, live=live)

    def moved(self, user: UserId, moved: Moved, source: Source) -> bool:
        """As `move`, at once; False when the database must be asked first."""
        traveller = self._travellers.get(user)
        if traveller is None or not (traveller.live or user in self._en_route):
            return False
        if traveller.source is not source:
            # another phone is the source: its owner carries that one
            return self._speaks(traveller)
        fix = fix_of(moved.location, moved.at.timestamp() if moved.at else self._unix())
        self._go_to(traveller, self._judged(user, traveller, fix))
        return True

    def heard(self, user: UserId, connection: Connection) -> None:
        """A frame of this socket: a sign of life when it is the source of a LIVE session."""
        traveller = self._travellers.get(user)
        if traveller is None or not traveller.live or traveller.source is not connection:
            return
        now = time.monotonic()
        traveller.heard_at = now
        if now - traveller.signed_at >= limits.LAST_SEEN_EVERY_S:
            traveller.signed_at = now
            self._heartbeats.sign(traveller)

    def returned(self, user: UserId, connection: Connection) -> None:
        """A hustler in LIVE mode is back on a socket: it carries on for a source that is gone.

        If this process never knew the place, presence may: another one wrote it before it died.
        """
        traveller = self._travellers.get(user)
        if traveller is None:
            self._returned[user] = connection
            self._work.set()
        elif traveller.live and not self._speaks(traveller):
            traveller.source = connection
            self.heard(user, connection)

    def left(self, connection: Connection) -> None:
        """The socket closed: its hustler stays present until 90 s after the last heartbeat."""
        user = connection.session.user_id
        traveller = self._travellers.get(user) if user is not None else None
        if traveller is not None and traveller.source is connection:
            traveller.source = None

    @property
    def live(self) -> Iterable[Traveller]:
        """Hustlers in LIVE mode heard within 90 s."""
        now = time.monotonic()
        return (t for t in self._heartbeats.live if now - t.heard_at < limits.PRESENT_S)

    def place(self, user: UserId) -> LatLng | None:
        """Where a hustler was last, if known here."""
        traveller = self._travellers.get(user)
        return traveller.track.point if traveller else None

    def nearest(self, point: LatLng, within_miles: float) -> UserId | None:
        """Who of those that move was last seen nearest to a point."""
        seen = (
            (distance.distance_m(traveller.track.point, point), traveller.user)
            for traveller in self._travellers.values()
        )
        metres, user = min(seen, key=lambda pair: pair[0], default=(math.inf, None))
        return user if metres <= within_miles * METRES_PER_MILE else None

    def _speaks(self, traveller: Traveller) -> bool:
        """The present source is still there; a REST caller is, for a while after each call."""
        if traveller.source == "REST":
            return time.monotonic() - traveller.heard_at < limits.POLL_GRACE_S
        return traveller.source is not None and not traveller.source.gone

    def _judged(self, user: UserId, known: Traveller | None, fix: fixes.Fix) -> fixes.Track:
        """The track after a good fix; raises HX021, and remembers what makes a suspect."""
        verdict = fixes.judge(known.track if known else None, fix, self._unix())
        if known is not None and verdict.track is not None and verdict.refusal is not None:
            known.track = verdict.track
        if verdict.ends_session and known is not None and known.live:
            self._suspects.add(user)
            self._work.set()
        if verdict.refusal is not None or verdict.track is None:
            raise refused(verdict.refusal or fixes.Refusal.NOT_FINITE)
        return verdict.track

    def _believe_from(
        self, user: UserId, source: Source, track: fixes.Track, *, live: bool
    ) -> None:
        """A new source: its generation is asked of Valkey with its first heartbeat."""
        now = time.monotonic()
        before = self._travellers.get(user)
        traveller = Traveller(user, source, track, now, now, live=live)
        if before is not None:
            traveller.residence = before.residence
        self._travellers[user] = traveller
        self._go_to(traveller, track)

    def _go_to(self, traveller: Traveller, track: fixes.Track) -> None:
        traveller.believe(track, time.monotonic())
        if traveller.live:
            self._heartbeats.moved(traveller)
        for task in self._en_route.moved(traveller.user, track.point):
            self._arrived.add((traveller.user, task))
            self._work.set()

    # ── What follows ─────────────────────────────────────────────────────────────────────────────

    def changed(self, user: UserId) -> None:
        """A task or the LIVE state of this user changed: what is known here is read anew."""
        self._changed.add(user)
        self._work.set()

    async def run(self) -> None:
        """Round after round; for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(steadily("positions", self.round), name="positions")
            group.create_task(steadily("en-route", self._en_route.round), name="en-route")

    async def round(self) -> None:
        """Reads anew what changed, records arrivals, ends suspect sessions."""
        await self._work.wait()
        await self._read_changed()
        await self._record_arrivals()
        await self._end_suspects()
        if self._returned:
            await self._take_over()
        if not (self._changed or self._arrived or self._suspects or self._returned):
            self._work.clear()

    async def _take_over(self) -> None:
        """Whoever came back to a process that does not know them stands where they stood."""
        returned = dict(self._returned)
        places = await self._heartbeats.last_places(returned)
        for user, connection in returned.items():
            if self._returned.get(user) is not connection:
                continue  # left, or came back once more, while presence was asked
            del self._returned[user]
            place = places.get(user)
            if place is None or connection.gone or user in self._travellers:
                continue
            now = time.monotonic()
            traveller = Traveller(
                user,
                connection,
                fixes.Track(place.point, place.fixed_at_s),
                heard_at=now,
                fixed_at=now - (self._unix() - place.fixed_at_s),
                live=True,
                residence=place.residence,
            )
            self._travellers[user] = traveller
            self._heartbeats.moved(traveller)

    async def _read_changed(self) -> None:
        # A change that comes while these are read is read in the next round.
        users, self._changed = self._changed, set()
        if not users:
            return
        try:
            await self._en_route.load(list(users))
            for user in users:
                await self._read_live(user)
                self._look_for_arrivals(user)
        except BaseException:
            self._changed |= users
            raise

    async def _read_live(self, user: UserId) -> None:
        """Lets go of a hustler who is no longer LIVE."""
        traveller = self._travellers.get(user)
        if user in self._returned or (traveller is not None and traveller.live):
            is_off = (await self._queries.live(user)).state == "OFF"
            if is_off and self._travellers.get(user) is traveller:
                await self._leave(user)
        elif traveller is not None and user not in self._en_route:
            del self._travellers[user]

    def _look_for_arrivals(self, user: UserId) -> None:
        if user in self._en_route and user in self._travellers:
            arrived = self._en_route.moved(user, self._travellers[user].track.point)
            self._arrived.update((user, task) for task in arrived)

    async def _record_arrivals(self) -> None:
        for user, task in tuple(self._arrived):
            try:
                await self._commands.arrived(user, task)
            except Refusal as refusal:
                log.info("arrival_refused", task=str(task), code=refusal.kind.code)
            self._arrived.discard((user, task))

    async def _end_suspects(self) -> None:
        for user in tuple(self._suspects):
            log.warning("suspect_positions_end_session", hustler=str(user))
            await self.end_live(user, "FORCED")
            self._suspects.discard(user)
