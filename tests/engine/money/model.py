"""The rules of work and money in plain Python: one market, its clock, and what each command does.

This is what the database has to do, without its locks, events and history. A command either
changes the model and says its outcome, or raises `No` with the identity of the refusal and changes
nothing but the count of wrong codes. Whether a hustler is ACTIVE in LIVE mode is an input: that has its own tests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NoReturn

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ENDED = ("COMPLETED", "CANCELLED", "EXPIRED")
STRANGER, ADMIN, DECIDER = "eve", "root", "wheel"
ADMINS = (ADMIN, DECIDER)
POSTER, HUSTLERS = "poster", ("ann", "bob", "cyd")
PEOPLE = (POSTER, *HUSTLERS, STRANGER, *ADMINS)


class No(Exception):
    """A refusal: code and invariant."""

    def __init__(self, code: str, invariant: str) -> None:
        super().__init__(code, invariant)
        self.identity = (code, invariant)


def no(code: str, invariant: str = "") -> NoReturn:
    """Refuse."""
    raise No(code, invariant)


def fee_cents(released: int) -> int:
    """15 % of what is released, floored to a cent."""
    return released * 15 // 100


@dataclass
class Settlement:
    """Money to be moved: to the hustler (of which the platform keeps its fee), to the poster."""

    release: int
    refund: int
    legs: set[str] = field(default_factory=set)
    state: str = "PENDING"


@dataclass(eq=False)
class Escrow:
    """What one payment holds."""

    amount: int
    made_at: int
    replaces: Escrow | None = None
    state: str = "PENDING"
    is_current: bool = True
    timers: dict[str, int] = field(default_factory=dict)
    settlement: Settlement | None = None
    journal: dict[str, int] = field(default_factory=dict)


@dataclass
class Broadcast:
    """A LIVE task on offer."""

    expires_at: int
    state: str = "ACTIVE"
    accepted_by: str | None = None
    timer: int | None = None
    offers: dict[str, str | None] = field(default_factory=dict)

    def runs(self, now: int) -> bool:
        """Whether it can still be answered."""
        return self.state == "ACTIVE" and now < self.expires_at


@dataclass
class Lock:
    """Wrong tries of one code."""

    tries: int = 0
    until: int = 0


@dataclass
class Proposal:
    """A price on the table."""

    by: str
    price: int
    state: str = "OPEN"
    escrow: Escrow | None = None


@dataclass
class Dispute:
    """Who is right is for an admin to say."""

    by: str
    state: str = "OPEN"
    outcome: str | None = None
    release: int = 0
    timer: int | None = None
    evidence: int = 0


@dataclass(eq=False)
class Task:
    """One task and all that hangs on it."""

    mode: str
    price: int
    deadline: int | None
    min_photos: int
    requires_proof: bool
    state: str = ""
    version: int = 1
    hustler: str | None = None
    reason: str | None = None
    predecessor: Task | None = None
    accepted_at: int = 0
    eta: int | None = None
    arrived: bool = False
    started: bool = False
    rejections: int = 0
    proofs: list[str] = field(default_factory=list)
    codes: dict[str, Lock] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    escrows: list[Escrow] = field(default_factory=list)
    broadcasts: list[Broadcast] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    dispute: Dispute | None = None

    @property
    def current(self) -> Escrow | None:
        """The escrow that pays for it."""
        return next((e for e in self.escrows if e.is_current), None)

    @property
    def waiting(self) -> Escrow | None:
        """The replacement that waits for its payment."""
        return next((e for e in self.escrows if e.replaces and e.state == "PENDING"), None)

    @property
    def running(self) -> Broadcast | None:
        """The broadcast that has not ended."""
        return next((b for b in self.broadcasts if b.state == "ACTIVE"), None)


class Market:
    """Everything one poster has posted."""

    def __init__(self) -> None:
        self.now = 0
        self.tasks: list[Task] = []

    # ── Who may ──────────────────────────────────────────────────────────────────────────────────
    def as_poster(self, who: str, t: Task) -> None:
        """Only the poster; the hustler may know why, strangers learn nothing."""
        if who != POSTER:
            no("HX503", "PERMISSION") if who == t.hustler else no("NOT_FOUND")

    def as_hustler(self, who: str, t: Task) -> None:
        """Only who holds the task, or held it to its end."""
        if who != t.hustler:
            no("NOT_FOUND")

    def as_side(self, who: str, t: Task) -> None:
        """Only the two sides."""
        if who not in (POSTER, t.hustler):
            no("NOT_FOUND")

    def as_admin(self, who: str) -> None:
        """Only an admin."""
        if who not in ADMINS:
            no("HX503", "PERMISSION")

    def busy(self, who: str) -> bool:
        """At work, or on the way to a LIVE task."""
        return any(
            t.hustler == who
            and (t.state == "WORKING" or (t.state == "ACCEPTED" and t.mode == "LIVE"))
            for t in self.tasks
        )

    # ── Posting and paying ───────────────────────────────────────────────────────────────────────
    def create(self, who: str, t: Task) -> None:
        """A new task; LIVE from $15.00, any from $5.00, a deadline within a year."""
        if who not in (POSTER, STRANGER):
            no("HX503", "PERMISSION")
        if t.deadline is not None and not 0 <= t.deadline - self.now <= 365 * DAY:
            no("VALIDATION_ERROR")
        self.check_price(t.mode, t.price)
        t.state = "MATCHING" if t.mode == "LIVE" else "OPEN"
        t.timers["UNFUNDED"] = self.now + DAY
        if t.deadline is not None:
            t.timers["DEADLINE"] = t.deadline
        self.tasks.append(t)

    @staticmethod
    def check_price(mode: str, price: int) -> None:
        """The floors of both modes."""
        if mode == "LIVE" and price < 1_500:
            no("HX902", "LIVE-2")
        if price < 500:
            no("VALIDATION_ERROR")

    def edit(self, who: str, t: Task, field_name: str, value: int, version: int | None) -> None:
        """Free until the money is held; then the title alone, and not while cards show it."""
        self.as_poster(who, t)
        if t.state in ENDED:
            no("HX001", "TASK-TERMINAL")
        if version not in (None, t.version):
            no("HX010", "VERSION")
        e = t.current
        free = t.state in ("OPEN", "MATCHING") and (e is None or e.state == "PENDING")
        if field_name == "price" and value != t.price:
            if t.mode == "LIVE" and value < 1_500:
                no("HX902", "LIVE-2")
            if not free:
                no("HX019", "EDIT")
            self.check_price(t.mode, value)
            t.price = value
            if e is not None:
                e.state, e.is_current = "CANCELLED", False
            t.version += 1
        if field_name == "title":
            if not free and t.state not in ("OPEN", "ACCEPTED"):
                no("HX019", "EDIT")
            t.version += 1

    def begin_funding(self, who: str, t: Task) -> Escrow:
        """The intent: an escrow for the price, or the replacement that waits."""
        if who != POSTER:
            no("NOT_FOUND")
        if t.state in ("CANCELLED", "EXPIRED"):
            no("HX001", "TASK-TERMINAL")
        e = t.waiting or t.current
        if e is None:
            e = Escrow(t.price, self.now)
            t.escrows.append(e)
        return e

    def pay(self, t: Task, e: Escrow) -> None:
        """The payment came: in time it is held, late it goes back."""
        if e.state == "CANCELLED":
            self.refund_late_payment(e)
        if e.state != "PENDING":
            return
        if e.replaces is not None:
            self.pay_replacement(t, e)
            return
        self.hold(e)
        del t.timers["UNFUNDED"]
        if t.mode == "LIVE" and not (t.deadline is not None and t.deadline <= self.now):
            self.broadcast(t)

    def pay_replacement(self, t: Task, e: Escrow) -> None:
        """A new price holds from its payment on, within 15 minutes; the old money goes back."""
        held = e.replaces
        if (
            held is None
            or not (held.is_current and held.state == "FUNDED")
            or self.now > e.made_at + 15 * MINUTE
            or t.running
        ):
            self.lapse(t)
            self.refund_late_payment(e)
            return
        self.hold(e)
        held.is_current, e.is_current = False, True
        del e.timers["REPLACEMENT"]
        t.price = e.amount
        t.version += 1
        self.settle(held, 0, held.amount)
        for p in t.proposals:
            if p.state == "AGREED":
                p.state = "APPLIED"
        if t.state == "MATCHING" and (t.deadline is None or t.deadline > self.now):
            t.timers.pop("CHOICE", None)
            t.timers.pop("CHOICE_REMINDER", None)
            self.broadcast(t)

    def hold(self, e: Escrow) -> None:
        """The poster's money is held."""
        e.state = "FUNDED"
        e.timers["FUNDS_HELD"] = self.now + 60 * DAY
        e.journal["CHARGE"] = e.amount

    def refund_late_payment(self, e: Escrow) -> None:
        """A payment that nobody waited for any more goes back, once."""
        e.state = "CANCELLED"
        if e.settlement is None:
            e.journal["CHARGE"] = e.amount
            self.settle(e, 0, e.amount)

    def settle(self, e: Escrow, release: int, refund: int) -> None:
        """Queue what has to move."""
        e.settlement = Settlement(release, refund)

    def broadcast(self, t: Task) -> None:
        """Ten minutes on offer, not beyond the deadline."""
        ends = min(self.now + 10 * MINUTE, t.deadline or self.now + DAY)
        t.broadcasts.append(Broadcast(ends, timer=ends))

    # ── Accepting ────────────────────────────────────────────────────────────────────────────────
    def standing(self, who: str, t: Task) -> str | None:
        """How the task stands for who wants it; None: it can be had."""
        if t.state in ("CANCELLED", "EXPIRED"):
            return "EXPIRED"
        if t.state not in ("OPEN", "MATCHING"):
            return "WON" if t.hustler == who else "TAKEN"
        if t.deadline is not None and t.deadline <= self.now:
            return "EXPIRED"
        if t.broadcasts and not t.broadcasts[-1].runs(self.now):
            return "EXPIRED"
        return None

    def accept(self, who: str, t: Task, version: int | None, *, active: bool) -> str:
        """The first who may have it gets it."""
        if who not in (*HUSTLERS, POSTER):
            no("HX503", "PERMISSION")
        if who == POSTER:
            no("HX013", "OWN-TASK")
        standing = self.standing(who, t)
        if standing is not None:
            return standing
        self.refuse_who_may_not(who, t, active=active)
        if version not in (None, t.version):
            no("HX010", "VERSION")
        if t.mode == "LIVE":
            b = t.broadcasts[-1]
            if b.offers.get(who, "DECLINE") == "DECLINE":
                no("HX012", "ELIGIBILITY")
            b.state, b.accepted_by, b.timer = "ACCEPTED", who, None
            b.offers[who] = "ACCEPT"
            t.eta = self.now + 4 * MINUTE
        t.state, t.hustler, t.accepted_at = "ACCEPTED", who, self.now
        t.codes = {"START": Lock(), "COMPLETION": Lock()}
        return "WON"

    def refuse_who_may_not(self, who: str, t: Task, *, active: bool) -> None:
        """What concerns the money and the caller alone."""
        if t.current is None or t.current.state != "FUNDED":
            no("HX016", "FUNDED")
        if who in self.releasers(t):
            no("HX012", "ELIGIBILITY")
        if self.busy(who):
            no("HX014", "BUSY")
        if t.mode == "LIVE":
            if not active:
                no("HX903", "LIVE-3")
            if not any(b.offers.get(who, "DECLINE") != "DECLINE" for b in t.broadcasts):
                no("HX012", "ELIGIBILITY")
        elif self.open_standard(who) >= 5:
            no("HX014", "BUSY")

    def open_standard(self, who: str) -> int:
        """How many STANDARD tasks a hustler has taken on and not finished."""
        held = ("ACCEPTED", "WORKING", "PROOF_SUBMITTED", "DISPUTED")
        return sum(
            t.hustler == who and t.mode == "STANDARD" and t.state in held for t in self.tasks
        )

    @staticmethod
    def releasers(t: Task) -> set[str | None]:
        """Who gave this work back is not offered it again."""
        gone = set()
        before = t.predecessor
        while before is not None:
            if before.reason == "HUSTLER_RELEASED":
                gone.add(before.hustler)
            before = before.predecessor
        return gone

    def decline(self, who: str, t: Task) -> str:
        """Turn the newest broadcast's offer down, for good."""
        if who not in (*HUSTLERS, POSTER):
            no("HX503", "PERMISSION")
        b = t.broadcasts[-1]
        if who not in b.offers:
            no("NOT_FOUND")
        if b.offers[who] is not None:
            return {"ACCEPT": "WON", "DECLINE": "DECLINED"}[str(b.offers[who])]
        if not b.runs(self.now):
            return "TAKEN" if b.state == "ACCEPTED" else "EXPIRED"
        b.offers[who] = "DECLINE"
        return "DECLINED"

    # ── Work ─────────────────────────────────────────────────────────────────────────────────────
    def arrive(self, who: str, t: Task) -> None:
        """At the door."""
        self.as_hustler(who, t)
        if not t.arrived:
            if t.state != "ACCEPTED":
                no("HX010", "TRANSITION")
            t.arrived = True

    def try_code(self, lock: Lock, *, right: bool) -> None:
        """Five wrong tries lock a code for 15 minutes, the right one included; each is counted."""
        if lock.until > self.now:
            no("HX018", "CODE-LOCKED")
        if not right:
            lock.tries += 1
            if lock.tries == 5:
                lock.tries, lock.until = 0, self.now + 15 * MINUTE
            no("HX018", "CODE-WRONG")

    def start(self, who: str, t: Task, *, right: bool) -> None:
        """The work begins with the start code; the price is fixed from here on."""
        self.as_hustler(who, t)
        if t.started and t.state not in ("CANCELLED", "EXPIRED"):
            return
        if t.state != "ACCEPTED":
            no("HX010", "TRANSITION")
        self.try_code(t.codes["START"], right=right)
        t.state, t.started, t.arrived = "WORKING", True, True
        t.timers["WORKING_STALE"] = self.now + DAY
        self.lapse(t)

    def submit(self, who: str, t: Task, kind: str, *, right: bool, photos: int) -> None:
        """A proof: the completion code, photos, or nothing where nothing is asked for."""
        self.as_hustler(who, t)
        if t.state not in ("ACCEPTED", "WORKING"):
            no("HX010", "TRANSITION")
        if kind == "CODE":
            self.try_code(t.codes["COMPLETION"], right=right)
        if kind == "STOLEN":
            no("HX022", "UPLOAD")
        if kind == "NONE" and t.requires_proof:
            no("HX301", "INV-3")
        if kind != "CODE" and not t.arrived:
            no("HX010", "ARRIVAL")
        if kind == "PHOTOS" and photos < t.min_photos:
            no("HX301", "INV-3")
        t.state, t.arrived = "PROOF_SUBMITTED", True
        t.proofs.append("SUBMITTED")
        t.timers["REVIEW"] = self.now + 48 * HOUR
        t.timers["REVIEW_REMINDER"] = self.now + 24 * HOUR
        t.timers.pop("WORKING_STALE", None)
        self.lapse(t)

    def approve(self, who: str, t: Task) -> None:
        """The poster is content."""
        self.as_poster(who, t)
        if t.state != "COMPLETED":
            if t.state != "PROOF_SUBMITTED":
                no("HX010", "TRANSITION")
            self.complete(t)

    def complete(self, t: Task) -> None:
        """The proof is accepted, and the whole escrow is released."""
        t.proofs[-1] = "ACCEPTED"
        t.state = "COMPLETED"
        t.timers.clear()
        assert t.current is not None
        self.settle(t.current, t.current.amount, 0)

    def reject(self, who: str, t: Task) -> None:
        """Back to work; the third time a person decides."""
        self.as_poster(who, t)
        if t.state != "PROOF_SUBMITTED":
            no("HX010", "TRANSITION")
        t.proofs[-1] = "REJECTED"
        t.rejections += 1
        del t.timers["REVIEW"]
        t.timers.pop("REVIEW_REMINDER", None)
        if t.rejections == 3:
            self.open_dispute(t, POSTER)
            return
        t.state = "WORKING" if t.started else "ACCEPTED"
        if t.started:
            t.timers["WORKING_STALE"] = self.now + DAY

    # ── Stopping ─────────────────────────────────────────────────────────────────────────────────
    def end(self, t: Task, state: str, reason: str) -> None:
        """The task ends without pay: what is held goes back, what was never paid is dropped."""
        t.state, t.reason = state, reason
        t.timers.clear()
        if t.running:
            t.running.timer = None
            t.running.state = "EXPIRED" if state == "EXPIRED" else "CANCELLED"
        e = t.current
        if e is not None and e.state == "PENDING":
            e.state = "CANCELLED"
        elif e is not None and e.state in ("FUNDED", "LOCKED_DISPUTE"):
            self.settle(e, 0, e.amount)
        self.lapse(t)

    def cancel(self, who: str, t: Task, *, no_show: bool) -> None:
        """The poster's way out until the hustler is there."""
        self.as_poster(who, t)
        if t.state == "CANCELLED":
            return
        if t.state in ENDED:
            no("HX001", "TASK-TERMINAL")
        if t.state not in ("OPEN", "MATCHING", "ACCEPTED") or t.arrived:
            no("HX010", "TRANSITION")
        if t.state == "ACCEPTED" and no_show:
            expected = t.eta or t.deadline or t.accepted_at + DAY
            if self.now < expected + 15 * MINUTE:
                no("HX010", "NO-SHOW")
            self.end(t, "CANCELLED", "NO_SHOW")
        else:
            self.end(t, "CANCELLED", "POSTER_CANCELLED")

    def cancel_by_admin(self, who: str, t: Task) -> None:
        """As the poster, with a reason on record."""
        self.as_admin(who)
        if t.state in ENDED:
            no("HX001", "TASK-TERMINAL")
        if t.state not in ("OPEN", "MATCHING", "ACCEPTED") or t.arrived:
            no("HX010", "TRANSITION")
        self.end(t, "CANCELLED", "ADMIN_CANCELLED")

    def release(self, who: str, t: Task) -> Task | None:
        """Given back: a successor with the same money is on offer, unless it is too late."""
        self.as_hustler(who, t)
        if t.state == "CANCELLED" and t.reason == "HUSTLER_RELEASED":
            return None
        if t.state != "ACCEPTED":
            no("HX010", "TRANSITION")
        if t.deadline is not None and t.deadline <= self.now:
            self.end(t, "CANCELLED", "HUSTLER_RELEASED")
            return None
        successor = self.succeed(t, t.mode, "HUSTLER_RELEASED")
        if successor.mode == "LIVE":
            self.broadcast(successor)
        return successor

    def succeed(self, t: Task, mode: str, reason: str) -> Task:
        """The one way for money to change its task."""
        t.state, t.reason = "CANCELLED", reason
        t.timers.clear()
        self.lapse(t)
        successor = Task(mode, t.price, t.deadline, t.min_photos, t.requires_proof, predecessor=t)
        successor.state = "MATCHING" if mode == "LIVE" else "OPEN"
        assert t.current is not None
        successor.escrows.append(t.current)
        t.escrows = [e for e in t.escrows if not e.is_current]
        if successor.deadline is not None:
            successor.timers["DEADLINE"] = successor.deadline
        self.tasks.append(successor)
        return successor

    def choose(self, who: str, t: Task, choice: str, price: int) -> Task | Escrow | None:
        """After a broadcast nobody accepted."""
        self.as_poster(who, t)
        successor = next((h for h in self.tasks if h.predecessor is t), None)
        if t.state == "CANCELLED" and (
            (
                choice == "SWITCH_TO_STANDARD"
                and successor is not None
                and successor.mode == "STANDARD"
            )
            or (choice == "CANCEL" and successor is None)
        ):
            return None
        if t.state != "MATCHING" or t.running or not t.broadcasts:
            no("HX010", "TRANSITION")
        if choice == "CANCEL":
            self.end(t, "CANCELLED", "POSTER_CANCELLED")
            return None
        if choice == "INCREASE_PRICE":
            if price <= t.price:
                no("VALIDATION_ERROR")
            return self.replace(t, price)
        return self.succeed(t, "STANDARD", "SWITCHED_TO_STANDARD")

    # ── Another price ────────────────────────────────────────────────────────────────────────────
    def replace(self, t: Task, price: int) -> Escrow:
        """An escrow for the new price waits 15 minutes for its payment, one at a time."""
        before = t.waiting
        if before is not None:
            if before.amount == price:
                return before
            before.state = "CANCELLED"
            before.timers.clear()
        assert t.current is not None
        e = Escrow(price, self.now, t.current, is_current=False)
        e.timers["REPLACEMENT"] = self.now + 15 * MINUTE
        t.escrows.append(e)
        return e

    def lapse(self, t: Task) -> None:
        """The task moved on: no other price is on the table any more."""
        if t.waiting is not None:
            t.waiting.state = "CANCELLED"
        for p in t.proposals:
            if p.state in ("OPEN", "AGREED"):
                p.state = "LAPSED"

    def propose(self, who: str, t: Task, price: int) -> Proposal:
        """Either side, before the work begins; a new word takes the earlier one away."""
        self.as_side(who, t)
        if t.state != "ACCEPTED" or t.started:
            no("HX010", "TRANSITION")
        if price == t.price:
            no("VALIDATION_ERROR")
        self.check_price(t.mode, price)
        last = t.proposals[-1] if t.proposals else None
        if last is not None and (last.state, last.by, last.price) == ("OPEN", who, price):
            return last
        self.lapse(t)
        t.proposals.append(Proposal(who, price))
        return t.proposals[-1]

    def answer(self, who: str, t: Task, p: Proposal, *, agrees: bool) -> None:
        """The other side agrees; either side lets it go."""
        self.as_side(who, t)
        if agrees and p.by == who:
            no("HX503", "PERMISSION")
        if p.state == ("AGREED" if agrees else "DECLINED") or (agrees and p.state == "APPLIED"):
            return
        if p.state != "OPEN":
            no("HX010", "PROPOSAL")
        p.state = "AGREED" if agrees else "DECLINED"
        if agrees:
            p.escrow = self.replace(t, p.price)

    # ── Disputes ─────────────────────────────────────────────────────────────────────────────────
    def dispute(self, who: str, t: Task) -> None:
        """Either side, once the hustler was there."""
        self.as_side(who, t)
        if t.state == "DISPUTED" and t.dispute is not None and t.dispute.by == who:
            return
        if t.state not in ("WORKING", "PROOF_SUBMITTED") and not (
            t.state == "ACCEPTED" and t.arrived
        ):
            no("HX010", "TRANSITION")
        self.open_dispute(t, who)

    def dispute_by_admin(self, who: str, t: Task) -> None:
        """A stuck task."""
        self.as_admin(who)
        if t.state not in ("ACCEPTED", "WORKING", "PROOF_SUBMITTED"):
            no("HX010", "TRANSITION")
        if t.state == "ACCEPTED" and not t.arrived:
            no("HX010", "DISPUTE-TRANSITION")
        self.open_dispute(t, who)

    def open_dispute(self, t: Task, who: str) -> None:
        """The money is locked and the task stands still."""
        self.lapse(t)
        assert t.current is not None
        t.state, t.current.state = "DISPUTED", "LOCKED_DISPUTE"
        t.timers.clear()
        t.dispute = Dispute(who, timer=self.now + 72 * HOUR)

    def give_evidence(self, who: str, t: Task) -> None:
        """What a side or an admin has to say, until it is decided."""
        if t.dispute is None or who not in (POSTER, t.hustler, *ADMINS):
            no("NOT_FOUND")
        if t.dispute.state == "RESOLVED":
            no("HX010", "DISPUTE-TRANSITION")
        t.dispute.evidence += 1

    def advance_dispute(self, who: str, t: Task, state: str) -> None:
        """More evidence within 72 hours, or somebody higher; never back."""
        self.as_admin(who)
        assert t.dispute is not None
        if t.dispute.by == who:
            no("HX503", "OWN-CASE")
        order = ["OPEN", "EVIDENCE_REQUESTED", "ESCALATED", "RESOLVED"]
        if t.dispute.state == "RESOLVED" or order.index(state) < order.index(t.dispute.state):
            no("HX010", "DISPUTE-TRANSITION")
        t.dispute.state = state
        if state == "EVIDENCE_REQUESTED":
            t.dispute.timer = self.now + 72 * HOUR

    def resolve(self, who: str, t: Task, outcome: str, release: int) -> None:
        """For the hustler, for the poster, or a part for each."""
        self.as_admin(who)
        d, e = t.dispute, t.current
        assert d is not None
        assert e is not None
        if d.by == who:
            no("HX503", "OWN-CASE")
        release = {"HUSTLER": e.amount, "POSTER": 0}.get(outcome, release)
        if d.state == "RESOLVED":
            if (d.outcome, d.release) != (outcome, release):
                no("HX010", "DISPUTE-TRANSITION")
            return
        if outcome == "SPLIT" and not 1 <= release <= e.amount - 1:
            no("VALIDATION_ERROR")
        d.state, d.outcome, d.release, d.timer = "RESOLVED", outcome, release, None
        t.proofs = ["EXPIRED" if p == "SUBMITTED" else p for p in t.proofs]
        if outcome == "POSTER":
            self.end(t, "CANCELLED", "DISPUTE_FOR_POSTER")
            return
        t.proofs.append("ACCEPTED")
        t.state = "COMPLETED"
        t.timers.clear()
        self.settle(e, release, e.amount - release)

    # ── The provider ─────────────────────────────────────────────────────────────────────────────
    def book(self, e: Escrow, leg: str) -> None:
        """One leg is done; the last one ends the escrow."""
        s = e.settlement
        assert s is not None
        wanted = {k for k, v in (("TRANSFER", s.release), ("REFUND", s.refund)) if v}
        if s.state == "DONE":
            return
        s.legs |= wanted & {leg}
        if s.legs != wanted:
            return
        s.state = "DONE"
        e.timers.pop("FUNDS_HELD", None)
        fee = fee_cents(s.release)
        gone = {"TRANSFER": fee - s.release, "FEE": -fee, "REFUND": -s.refund}
        e.journal.update({kind: amount for kind, amount in gone.items() if amount})
        if e.state != "CANCELLED":
            e.state = "REFUND_PARTIAL" if s.release and s.refund else (
                "RELEASED" if s.release else "REFUNDED"
            )  # fmt: skip

    def hold_back(self, e: Escrow) -> None:
        """The provider refuses: a person looks at it."""
        assert e.settlement is not None
        if e.settlement.state == "PENDING":
            e.settlement.state = "HELD"

    def retry(self, who: str, e: Escrow) -> None:
        """An admin lets it go on."""
        self.as_admin(who)
        assert e.settlement is not None
        if e.settlement.state == "DONE":
            no("HX010", "ESCROW-TRANSITION")
        e.settlement.state = "PENDING"

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────
    def due(self) -> list[tuple[str, Task | Escrow, int]]:
        """Every timer: its kind, what it is about, and when it is due."""
        found: list[tuple[str, Task | Escrow, int]] = []
        for t in self.tasks:
            found += [(kind, t, due) for kind, due in t.timers.items()]
            found += [("BROADCAST_END", t, b.timer) for b in t.broadcasts if b.timer is not None]
            for e in t.escrows:
                found += [(kind, e, due) for kind, due in e.timers.items()]
            if t.dispute is not None and t.dispute.timer is not None:
                found.append(("DISPUTE_DUE", t, t.dispute.timer))
        return found

    def fire(self, kind: str, about: Task | Escrow, due: int) -> None:
        """A timer rings; before its time nothing happens."""
        if due > self.now:
            return
        if isinstance(about, Escrow):
            del about.timers[kind]
            if kind == "REPLACEMENT" and about.state == "PENDING":
                self.lapse(next(t for t in self.tasks if about in t.escrows))
        elif kind == "BROADCAST_END":
            self.end_broadcast(about)
        elif kind == "DISPUTE_DUE":
            assert about.dispute is not None
            about.dispute.timer = None
        else:
            del about.timers[kind]
            self.fire_task(kind, about)

    def fire_task(self, kind: str, t: Task) -> None:
        """What a task's own deadline does."""
        held = any(e.state == "FUNDED" for e in t.escrows)
        waits = t.state in ("OPEN", "MATCHING")
        if kind == "UNFUNDED" and waits and not held:
            self.end(t, "CANCELLED", "UNFUNDED")
        elif kind == "DEADLINE" and waits:
            self.end(t, "EXPIRED", "DEADLINE")
        elif kind == "REVIEW" and t.state == "PROOF_SUBMITTED":
            self.complete(t)
        elif kind == "REVIEW_REMINDER" and t.state == "PROOF_SUBMITTED":
            if self.now < t.timers["REVIEW"] - 4 * HOUR:
                t.timers["REVIEW_REMINDER"] = t.timers["REVIEW"] - 4 * HOUR
        elif kind in ("CHOICE", "CHOICE_REMINDER") and t.state == "MATCHING" and not t.running:
            ended = max(b.expires_at for b in t.broadcasts)
            if kind == "CHOICE":
                self.end(t, "CANCELLED", "NO_CHOICE")
            elif self.now < ended + 23 * HOUR:
                t.timers["CHOICE_REMINDER"] = ended + 23 * HOUR

    def end_broadcast(self, t: Task) -> None:
        """Nobody accepted: the poster has a day to choose, unless the deadline decides."""
        b = next(b for b in t.broadcasts if b.timer is not None)
        b.timer, b.state = None, "EXPIRED"
        if t.deadline is None or t.deadline > b.expires_at:
            t.timers["CHOICE"] = b.expires_at + DAY
            t.timers["CHOICE_REMINDER"] = b.expires_at + HOUR

    # ── Who holds what ───────────────────────────────────────────────────────────────────────────
    def purses(self) -> Counter[str]:
        """Every cent the poster ever paid, by who has it now."""
        purses: Counter[str] = Counter()
        for t in self.tasks:
            for e in t.escrows:
                purses[POSTER] -= e.journal.get("CHARGE", 0) + e.journal.get("REFUND", 0)
                purses[str(t.hustler)] -= e.journal.get("TRANSFER", 0)
                purses["platform"] -= e.journal.get("FEE", 0)
                purses["held"] += sum(e.journal.values())
        assert sum(purses.values()) == 0
        return purses
