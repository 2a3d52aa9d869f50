"""The legal steps of every state machine, as one table; not imported by the service.

A test holds it equal to the SQL table `lifecycle`; `docs/lifecycle.md` is drawn from here (`python -m engine.kernel.lifecycle`).
The database refuses every other step with HX010, whichever actor asks; its triggers
and functions check the guards (`guards*.sql` of the subjects in sql/schema/).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

Machine = Literal["task", "escrow", "proof", "dispute", "settlement", "proposal"]
Actor = Literal["poster", "hustler", "admin", "timer", "system", "provider"]


class Step(NamedTuple):
    """A legal step: `event` takes a machine from one state to another, if its guard holds."""

    machine: Machine
    event: str
    from_state: str
    to_state: str
    actors: tuple[Actor, ...]
    """The actors who may take it; empty where a step is legal but never taken."""
    guard: str


# fmt: off
STEPS: tuple[Step, ...] = (
    Step("task", "accept", "OPEN", "ACCEPTED", ("hustler",), "escrow FUNDED, eligible"),
    Step("task", "accept", "MATCHING", "ACCEPTED", ("hustler",), "escrow FUNDED, eligible, ACTIVE, not busy, own open offer"),
    Step("task", "start", "ACCEPTED", "WORKING", ("hustler",), "start code"),
    Step("task", "submit_proof", "ACCEPTED", "PROOF_SUBMITTED", ("hustler",), "proof SUBMITTED; without the completion code only once arrived"),
    Step("task", "submit_proof", "WORKING", "PROOF_SUBMITTED", ("hustler",), "proof SUBMITTED"),
    Step("task", "approve", "PROOF_SUBMITTED", "COMPLETED", ("poster", "timer"), "proof ACCEPTED (INV-3); the timer after 48 h"),
    Step("task", "reject", "PROOF_SUBMITTED", "ACCEPTED", ("poster",), "proof REJECTED, not started"),
    Step("task", "reject", "PROOF_SUBMITTED", "WORKING", ("poster",), "proof REJECTED, started"),
    Step("task", "dispute", "ACCEPTED", "DISPUTED", ("poster", "hustler", "admin", "system"), "dispute open, escrow locked; arrived or rejected, but for a chargeback"),
    Step("task", "dispute", "WORKING", "DISPUTED", ("poster", "hustler", "admin", "system"), "dispute open, escrow locked"),
    Step("task", "dispute", "PROOF_SUBMITTED", "DISPUTED", ("poster", "hustler", "admin", "system"), "dispute open, escrow locked; the third rejection opens it"),
    Step("task", "resolve", "DISPUTED", "COMPLETED", ("admin",), "resolved for the hustler or as a split; proof DECISION"),
    Step("task", "resolve", "DISPUTED", "CANCELLED", ("admin",), "resolved for the poster"),
    Step("task", "release", "ACCEPTED", "CANCELLED", ("hustler",), "a successor takes the escrow"),
    Step("task", "cancel", "OPEN", "CANCELLED", ("poster", "timer", "admin", "system"), "full refund"),
    Step("task", "cancel", "MATCHING", "CANCELLED", ("poster", "timer", "admin", "system"), "full refund, or a successor takes the escrow"),
    Step("task", "cancel", "ACCEPTED", "CANCELLED", ("poster", "admin"), "not arrived; full refund; NO_SHOW from ETA + 15 min"),
    Step("task", "expire", "OPEN", "EXPIRED", ("timer",), "past the deadline; full refund"),
    Step("task", "expire", "MATCHING", "EXPIRED", ("timer",), "past the deadline; full refund"),
    Step("task", "expire", "ACCEPTED", "EXPIRED", (), "past the deadline; legal, but never swept"),
    Step("task", "expire", "WORKING", "EXPIRED", (), "past the deadline; legal, but never swept"),
    Step("task", "expire", "PROOF_SUBMITTED", "EXPIRED", (), "past the deadline; legal, but never swept"),
    Step("task", "expire", "DISPUTED", "EXPIRED", (), "past the deadline, dispute resolved for the poster"),
    Step("escrow", "fund", "PENDING", "FUNDED", ("provider",), "the payment succeeded"),
    Step("escrow", "cancel", "PENDING", "CANCELLED", ("poster", "timer"), "never funded"),
    Step("escrow", "release", "FUNDED", "RELEASED", ("provider",), "task COMPLETED (INV-2)"),
    Step("escrow", "refund", "FUNDED", "REFUNDED", ("provider",), "task CANCELLED or EXPIRED, or replaced"),
    Step("escrow", "lock", "FUNDED", "LOCKED_DISPUTE", ("poster", "hustler", "admin", "system"), "dispute open"),
    Step("escrow", "release", "LOCKED_DISPUTE", "RELEASED", ("provider",), "resolved for the hustler"),
    Step("escrow", "refund", "LOCKED_DISPUTE", "REFUNDED", ("provider",), "resolved for the poster"),
    Step("escrow", "partial", "LOCKED_DISPUTE", "REFUND_PARTIAL", ("provider",), "resolved as a split"),
    Step("proof", "submit", "PENDING", "SUBMITTED", ("hustler",), "as many photos as the task asks for"),
    Step("proof", "accept", "SUBMITTED", "ACCEPTED", ("poster", "timer"), ""),
    Step("proof", "reject", "SUBMITTED", "REJECTED", ("poster",), "a reason"),
    Step("proof", "lapse", "PENDING", "EXPIRED", ("admin",), "the task ended without a review"),
    Step("proof", "lapse", "SUBMITTED", "EXPIRED", ("admin",), "the task ended without a review"),
    Step("dispute", "ask", "OPEN", "EVIDENCE_REQUESTED", ("admin",), ""),
    Step("dispute", "escalate", "OPEN", "ESCALATED", ("admin", "timer"), ""),
    Step("dispute", "escalate", "EVIDENCE_REQUESTED", "ESCALATED", ("admin", "timer"), ""),
    Step("dispute", "resolve", "OPEN", "RESOLVED", ("admin",), "outcome, amounts, reason"),
    Step("dispute", "resolve", "EVIDENCE_REQUESTED", "RESOLVED", ("admin",), "outcome, amounts, reason"),
    Step("dispute", "resolve", "ESCALATED", "RESOLVED", ("admin",), "outcome, amounts, reason"),
    Step("settlement", "book", "PENDING", "DONE", ("provider",), "every leg succeeded"),
    Step("settlement", "hold", "PENDING", "HELD", ("provider", "system"), "an admin is needed"),
    Step("settlement", "retry", "HELD", "PENDING", ("admin", "system"), ""),
    Step("settlement", "book", "HELD", "DONE", ("provider",), "every leg succeeded"),
    Step("proposal", "agree", "OPEN", "AGREED", ("poster", "hustler"), "the other side; a replacement escrow"),
    Step("proposal", "decline", "OPEN", "DECLINED", ("poster", "hustler"), "the other side, or its proposer"),
    Step("proposal", "lapse", "OPEN", "LAPSED", ("poster", "hustler", "timer"), "the task moved on"),
    Step("proposal", "lapse", "AGREED", "LAPSED", ("poster", "hustler", "timer"), "not paid in time"),
    Step("proposal", "apply", "AGREED", "APPLIED", ("provider",), "the replacement is paid"),
)
# fmt: on

MACHINES: tuple[Machine, ...] = ("task", "escrow", "proof", "dispute", "settlement", "proposal")


def steps_of(machine: Machine) -> tuple[Step, ...]:
    """Returns the steps of one machine, in the order of the table."""
    return tuple(step for step in STEPS if step.machine == machine)


def terminal_states(machine: Machine) -> frozenset[str]:
    """Returns the states of a machine that no step leaves."""
    steps = steps_of(machine)
    return frozenset(s.to_state for s in steps) - frozenset(s.from_state for s in steps)


def diagram(machine: Machine) -> str:
    """Returns the machine as a Mermaid state diagram."""
    steps = steps_of(machine)
    first = [s.from_state for s in steps if s.from_state not in {t.to_state for t in steps}]
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}" for state in dict.fromkeys(first)]
    lines += [f"    {s.from_state} --> {s.to_state}: {s.event}" for s in steps if s.actors]
    lines += [f"    {state} --> [*]" for state in sorted(terminal_states(machine))]
    return "\n".join(lines)


def markdown() -> str:
    """Returns the body of `docs/lifecycle.md`: one table and one diagram for each machine."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for machine in MACHINES:
        yield f"## {machine.capitalize()}\n\n```mermaid\n{diagram(machine)}\n```\n"
        yield "| Event | From | To | Who | Guard |\n|---|---|---|---|---|"
        for step in steps_of(machine):
            who = ", ".join(step.actors) or "nobody"
            yield (
                f"| {step.event} | `{step.from_state}` | `{step.to_state}` | {who} |"
                f" {step.guard or '–'} |"
            )
        yield ""


if __name__ == "__main__":
    print(markdown())  # noqa: T201
