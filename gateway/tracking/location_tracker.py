"""Tracks hustlers' positions: which source is accepted, and who gets them (design §4).

A hustler in LIVE mode goes to presence and is matchable; a hustler on the way to a task in ACCEPTED
is shown to its poster, LIVE or not.  Sockets and REST use the same entries.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.events.changes import Changes
from engine.kernel import errors
from engine.kernel.batches import batches
from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from engine.live.commands import EndReason
from engine.live.queries import LastFix
from gateway.contract import limits
from gateway.contract.client import GoLive, LocationUpdate
from gateway.delivery.hub import Hub
from gateway.session.connection import Connection
from gateway.tracking.arrivals import AGAIN_S, OLD_FIX_S, Arrivals
from gateway.tracking.changes import HustlerChanges
from gateway.tracking.en_route import EnRoute
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.tracked_hustlers import Source, TrackedHustler, fix_of, refused
from geo import distance, fixes
from geo.points import LatLng
from geo.units import METRES_PER_MILE
from sql.database import DatabaseError

log = structlog.get_logger(__name__)


class LocationTracker:
    """Index of hustler → tracked hustler, with the work that follows from a move."""

    def __init__(
        self,
        hub: Hub,
        changes: HustlerChanges,
        commands: Commands,
        queries: Queries,
        *,
        heartbeats: Heartbeats,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._changes = changes
        self._commands = commands
        self._queries = queries
        self._heartbeats = heartbeats
        self._en_route = EnRoute(hub.send_volatile, queries.tasks)
        self._unix = unix
        self._tracked: dict[UserId, TrackedHustler] = {}
        self._suspects: set[UserId] = set()
        self._returned: dict[UserId, Connection] = {}
        self._work = changes.work
        self.arrivals = Arrivals(
            commands, heartbeats, self._en_route, self._tracked, unix=unix, wake=self._work.set
        )

    # ── LIVE mode ────────────────────────────────────────────────────────────────────────────────

    async def go_live(self, user: UserId, wish: GoLive, source: Source = "REST") -> None:
        """Switches LIVE mode on; from now on positions are accepted from this source alone.

        Raises HX021 for a bad fix, HX904 too soon, HX905 banned, HX503 for a user who may not work.
        """
        fix = fix_of(wish.location, wish.at.timestamp() if wish.at else self._unix())
        try:
            track = self._checked(user, await self._last_track(user), fix)
        except Refusal:
            await self._refuse_banned(user)  # no other position would help
            raise
        await self._commands.live.go_live(user, wish.radius_miles, wish.categories)
        self._accept_from(user, source, track, live=True)
        await self._keep(user)
        self._hub.may_have_reopened(user)

    async def _refuse_banned(self, user: UserId) -> None:
        live = await self._queries.live.state(user)
        if live.reason == "BANNED":
            left = live.ends_at - await self._queries.clock.now() if live.ends_at else None
            raise Refusal(
                errors.kind("HX905", "LIVE-BAN"),
                retry_after_s=float(math.ceil(left.total_seconds())) if left else None,
            )

    async def end_live(self, user: UserId, reason: EndReason) -> None:
        """Ends LIVE mode and removes the hustler from presence at once."""
        await self._keep(user)
        await self._commands.live.end(user, reason)
        self._leave(user)

    async def _keep(self, user: UserId) -> None:
        """Saves the last accepted position for the process that checks the next one."""
        tracked = self._tracked.get(user)
        if tracked is not None:
            track = tracked.track
            fixed_at = datetime.fromtimestamp(track.at_s, UTC)
            fix = LastFix(track.point.lat, track.point.lng, track.accuracy_m, fixed_at)
            await self._commands.live.keep_fix(user, fix)

    async def _last_track(self, user: UserId) -> fixes.Track | None:
        """Returns the track by which the hustler's next fix is checked; None when unknown."""
        now_s = self._unix()
        last = None if user in self._tracked else await self._queries.live.last_fix(user)
        tracked = self._tracked.get(user)
        if tracked is not None:
            return tracked.track
        if last is None:
            return None
        at_s = min(last.fixed_at.timestamp(), now_s - last.kept_for_s)
        if now_s - at_s > fixes.REMEMBERED_S:
            return None
        track = fixes.Track(LatLng(last.lat, last.lng), at_s, last.accuracy_m)
        await self._meet(user, track, now_s - at_s)
        return track

    async def _meet(self, user: UserId, track: fixes.Track, age_s: float) -> None:
        """Starts to count suspects of a LIVE session that began in another process."""
        is_live = (await self._queries.live.state(user)).state != "OFF"
        if is_live and user not in self._tracked:
            fixed_at = time.monotonic() - age_s
            self._tracked[user] = TrackedHustler(user, None, track, fixed_at, fixed_at, live=True)

    def _leave(self, user: UserId) -> None:
        self._returned.pop(user, None)
        tracked = self._tracked.get(user)
        if tracked is None:
            return
        tracked.live = False
        # what made the session suspect ended with it
        tracked.track = tracked.track._replace(fast_in_a_row=0, suspects_s=())
        if user not in self._en_route:
            del self._tracked[user]
        self._heartbeats.stop(tracked)

    # ── Moves ────────────────────────────────────────────────────────────────────────────────────

    async def move(self, user: UserId, update: LocationUpdate, source: Source = "REST") -> None:
        """Applies a new position.

        Raises HX021 for a rejected fix, HX903 for a user neither LIVE nor on the way to a task.
        """
        if self.move_at_once(user, update, source):
            return
        fix = fix_of(update.location, update.at.timestamp() if update.at else self._unix())
        live = (await self._queries.live.state(user)).state != "OFF"
        if not live:
            await self._en_route.load([user])
            if user not in self._en_route:
                raise errors.refusal("HX903", "LIVE-3")
        track = self._checked(user, await self._last_track(user), fix)
        self._accept_from(user, source, track, live=live)

    def move_at_once(self, user: UserId, update: LocationUpdate, source: Source) -> bool:
        """As `move`, without I/O; returns False when the database must be asked first."""
        tracked = self._tracked.get(user)
        if tracked is None or not (tracked.live or user in self._en_route):
            return False
        if tracked.source is not source:
            return self._speaks(tracked) and tracked.ignores(source)
        fix = fix_of(update.location, update.at.timestamp() if update.at else self._unix())
        self._go_to(tracked, self._checked(user, tracked.track, fix))
        return True

    def heard(self, user: UserId, connection: Connection) -> None:
        """Counts a frame as a heartbeat when its socket is the source of a LIVE session."""
        tracked = self._tracked.get(user)
        if tracked is None or not tracked.live or tracked.source is not connection:
            return
        now = time.monotonic()
        tracked.heard_at = now
        if now - tracked.kept_alive_at >= limits.LAST_SEEN_EVERY_S:
            tracked.kept_alive_at = now
            self._heartbeats.keep_alive(tracked)

    def returned(self, user: UserId, connection: Connection) -> None:
        """Makes a socket the source of the hustler's LIVE session where the old source is gone.

        If this process never knew the position, presence may: another one wrote it before it died.
        """
        tracked = self._tracked.get(user)
        if tracked is None:
            self._returned[user] = connection
            self._work.set()
        elif tracked.live and not self._speaks(tracked):
            tracked.source = connection
            self.heard(user, connection)

    def left(self, connection: Connection) -> None:
        """Removes a closed socket; its hustler stays present for 90 s after its last heartbeat."""
        user = connection.session.user_id
        tracked = self._tracked.get(user) if user is not None else None
        if tracked is not None and tracked.source is connection:
            tracked.source = None

    @property
    def live(self) -> Iterable[TrackedHustler]:
        """Returns the hustlers in LIVE mode with a heartbeat within 90 s."""
        now = time.monotonic()
        return (t for t in self._heartbeats.live if now - t.heard_at < limits.PRESENT_S)

    def last_point(self, user: UserId) -> LatLng | None:
        """Returns the hustler's last position; None where this process knows none."""
        tracked = self._tracked.get(user)
        return tracked.track.point if tracked else None

    def nearest(self, point: LatLng, within_miles: float) -> UserId | None:
        """Returns the tracked hustler nearest to a point within this distance; None without one."""
        seen = ((distance.distance_m(t.track.point, point), t.user) for t in self._tracked.values())
        metres, user = min(seen, key=lambda pair: pair[0], default=(math.inf, None))
        return user if metres <= within_miles * METRES_PER_MILE else None

    def _speaks(self, tracked: TrackedHustler) -> bool:
        """Returns whether the present source is connected; a REST caller is for a while."""
        if tracked.source == "REST":
            return time.monotonic() - tracked.heard_at < limits.POLL_GRACE_S
        return tracked.source is not None and not tracked.source.gone

    def _checked(self, user: UserId, last: fixes.Track | None, fix: fixes.Fix) -> fixes.Track:
        """Returns the track after an accepted fix; raises HX021, and notes a suspect."""
        known = self._tracked.get(user)
        result = fixes.check_fix(last, fix, self._unix())
        if known is not None and result.track is not None and result.rejection is not None:
            known.track = result.track
        if result.ends_session and known is not None and known.live:
            self._suspect(user)
        if result.rejection is not None or result.track is None:
            raise refused(result.rejection or fixes.FixRejection.NOT_FINITE)
        return result.track

    def _accept_from(self, user: UserId, source: Source, track: fixes.Track, *, live: bool) -> None:
        """Sets a new source; its generation is asked of Valkey with its first heartbeat."""
        now = time.monotonic()
        closed = source != "REST" and source.gone  # while its request was under way
        # without the slot of before: a new generation has to claim the directory's entry
        tracked = TrackedHustler(user, None if closed else source, track, now, now, live=live)
        self._tracked[user] = tracked
        self._go_to(tracked, track)

    def _go_to(self, tracked: TrackedHustler, track: fixes.Track) -> None:
        age_s = max(0.0, self._unix() - track.at_s)
        tracked.accept_fix(track, time.monotonic(), age_s)
        if tracked.live:
            self._heartbeats.moved(tracked)
        if age_s > OLD_FIX_S:
            return  # stale: not sent to the poster, no arrival
        self.arrivals.moved(tracked.user, track.point)

    # ── What follows ─────────────────────────────────────────────────────────────────────────────

    def changed(self, changes: Changes) -> None:
        """Has those who are followed here read anew, whoever changed them (`ChangeFeed`)."""
        if changes.all_may_have_changed:
            self._changes.add((*self._tracked, *self._returned, *self._en_route))
        self._changes.add(user for user in changes.hustlers if self._follows(user))

    def _follows(self, user: UserId) -> bool:
        return user in self._tracked or user in self._returned or user in self._en_route

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(supervise("location-tracker", self.round), name="location-tracker")
            group.create_task(supervise("en-route", self._en_route.round), name="en-route")
            group.create_task(supervise("silent", self._silent_round), name="silent")

    async def round(self) -> None:
        """Reads changed hustlers anew, records arrivals, ends suspect sessions."""
        await self._work.wait()
        await self._read_changed()
        await self.arrivals.record()
        await self._end_suspects()
        if self._returned:
            await self._take_over()
        if not (self._changes.users or self.arrivals or self._suspects or self._returned):
            self._work.clear()

    async def _silent_round(self) -> None:
        await asyncio.sleep(limits.IDLE_SWEEP_EVERY_S)
        await self.forget_silent()

    async def forget_silent(self) -> None:
        """Stops tracking hustlers who were not heard of here for twice as long as ends a session.

        Their session has ended, or goes on in another process: nobody here hears of its end.
        """
        since = time.monotonic() - 2 * limits.IDLE_ENDS_SESSION_S
        silent = [t for t in self._tracked.values() if t.heard_at < since]
        for tracked in silent:
            user = tracked.user
            if user in self._en_route:
                continue
            await self._keep(user)
            if self._tracked.get(user) is tracked and tracked.heard_at < since:
                del self._tracked[user]
                self._heartbeats.forget(tracked)

    async def _take_over(self) -> None:
        """Restores from presence the positions of hustlers who returned to this process."""
        returned = dict(self._returned)
        positions = await self._heartbeats.last_positions(returned)
        for user, connection in returned.items():
            if self._returned.get(user) is not connection:
                continue  # left, or came back once more, while presence was asked
            del self._returned[user]
            position = positions.get(user)
            if position is None or connection.gone or user in self._tracked:
                continue
            now = time.monotonic()
            tracked = TrackedHustler(
                user,
                connection,
                fixes.Track(position.point, position.fixed_at_s),
                heard_at=now,
                fixed_at=now - (self._unix() - position.fixed_at_s),
                live=True,
                slot=position.slot,
            )
            self._tracked[user] = tracked
            self._heartbeats.moved(tracked)

    async def _read_changed(self) -> None:
        # A change that comes while these are read is read in the next round.
        users = self._changes.take()
        if not users:
            return
        try:
            for batch in batches(users, limits.COMPARE_BATCH):
                await self._read(batch)
                users.difference_update(batch)
        except BaseException:
            self._changes.users |= users
            raise

    async def _read(self, users: Sequence[UserId]) -> None:
        """Reads the tasks and LIVE states of these hustlers anew, by a query each."""
        await self._en_route.load(users)
        asked = {user: self._tracked.get(user) for user in users if self._may_be_live(user)}
        states = await self._queries.live.states(list(asked)) if asked else []
        off = {state.hustler for state in states if not state.is_live}
        for user in users:
            try:
                await self._let_go(user, asked.get(user), is_off=user in off)
            except (Refusal, DatabaseError):
                # This one is read again later, and keeps none of the others waiting.
                log.exception("hustler_not_let_go", hustler=str(user))
                asyncio.get_running_loop().call_later(AGAIN_S, self._changes.add, [user])
            self.arrivals.look(user)

    def _may_be_live(self, user: UserId) -> bool:
        tracked = self._tracked.get(user)
        return user in self._returned or (tracked is not None and tracked.live)

    async def _let_go(self, user: UserId, asked: TrackedHustler | None, *, is_off: bool) -> None:
        """Stops tracking a hustler who is neither LIVE nor on the way to a task any more.

        `asked` is the tracked hustler whose LIVE state was asked for; a newer one is let be.
        """
        tracked = self._tracked.get(user)
        if self._may_be_live(user):
            if is_off and tracked is asked:
                await self._keep(user)
                self._leave(user)
        elif tracked is not None and user not in self._en_route:
            await self._keep(user)
            if self._tracked.get(user) is tracked and user not in self._en_route:
                del self._tracked[user]

    def _suspect(self, user: UserId) -> None:
        self._suspects.add(user)
        self._work.set()

    async def _end_suspects(self) -> None:
        for user in tuple(self._suspects):
            log.warning("impossible_positions_end_session", hustler=str(user))
            await self._keep(user)
            try:
                await self._commands.live.end_impossible(user)
            except Refusal as refusal:
                if not refusal.kind.retryable:
                    raise
                # The row is locked: tried again later, without waiting.
                asyncio.get_running_loop().call_later(AGAIN_S, self._suspect, user)
            else:
                self._leave(user)
            self._suspects.discard(user)
