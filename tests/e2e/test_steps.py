"""Every step of a task that anybody may take: both sides hear of it, and history says who and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from engine.kernel.lifecycle import Step, steps_of
from tests.e2e.people import Chain, Person

CHARGED_BACK = "The poster's bank took the payment back."


class Scene:
    """One task with its people, led up to a state and one step further."""

    def __init__(self, chain: Chain, step: Step, poster: Person, hustler: Person) -> None:
        self.chain = chain
        self.step = step
        self.poster = poster
        self.hustler = hustler
        self.task = ""

    async def lead_to_the_step(self, actor: str) -> None:
        """The task in the state from which the step goes."""
        mode = "LIVE" if self.step.from_state == "MATCHING" else "STANDARD"
        sides, chain = (self.poster, self.hustler), self.chain
        match self.step.from_state:
            case "OPEN" | "MATCHING":
                terms: dict[str, Any] = {}
                if self.step.event == "expire":
                    terms["deadline"] = (await chain.now() + timedelta(minutes=1)).isoformat()
                unfunded = self.step.event == "cancel" and actor == "timer"
                post = chain.posted if unfunded else chain.funded
                made = await post(self.poster, mode, **terms)
                self.task = made["id"]
                if self.step.event == "accept" and mode == "LIVE":
                    await self.hustler.live_at(made["location"])
            case "ACCEPTED":
                self.task = await chain.accepted(*sides)
                if self.step.event == "dispute" and actor != "system":
                    await self.hustler.comes(self.task)
            case "WORKING":
                self.task = await chain.started(*sides)
            case "PROOF_SUBMITTED" if self.step.to_state == "ACCEPTED":
                self.task = await chain.accepted(*sides)
                await chain.hands_in(*sides, self.task)
            case "PROOF_SUBMITTED":
                self.task = await chain.handed_in(*sides)
            case "DISPUTED":
                self.task = await chain.handed_in(*sides)
                await self.hustler.does(self.task, "dispute", {"reason": "No answer."})
        seen = await self.poster.task(self.task)
        assert seen["state"] == self.step.from_state

    async def take(self, actor: str) -> tuple[UUID | None, str | None]:
        """The step, by this actor; who and why the history must say."""
        return await getattr(self, f"by_{actor}")()  # type: ignore[no-any-return]

    async def by_hustler(self) -> tuple[UUID, str | None]:
        """What the hustler does."""
        seen = await self.poster.task(self.task)
        reason = None
        match self.step.event:
            case "accept":
                await self.hustler.takes(seen)
            case "start":
                await self.hustler.does(self.task, "start", {"code": seen["start_code"]})
            case "submit_proof":
                await self.hustler.does(self.task, "proofs", {"code": seen["completion_code"]})
            case "dispute":
                reason = "The door was locked."
                await self.hustler.does(self.task, "dispute", {"reason": reason})
            case "release":
                reason = "HUSTLER_RELEASED"
                await self.hustler.does(self.task, "release", {"reason": "Flat tyre."})
        return self.hustler.id, reason

    async def by_poster(self) -> tuple[UUID, str | None]:
        """What the poster does."""
        reason = {"approve": None}.get(self.step.event, "It rains.")
        await self.poster.does(self.task, self.step.event, {"reason": reason} if reason else {})
        return self.poster.id, reason

    async def by_timer(self) -> tuple[None, str]:
        """What time does."""
        if self.step.event == "expire":
            await self.chain.advance("61 seconds")
            return None, "DEADLINE"
        kind = "REVIEW" if self.step.event == "approve" else "UNFUNDED"
        await self.chain.due(kind, self.task)
        return None, "REVIEW_TIMEOUT" if kind == "REVIEW" else kind

    async def by_admin(self) -> tuple[UUID, str]:
        """What an admin does."""
        admin = (await self.chain.person("admin")).id
        if self.step.event == "resolve":
            dispute = (await self.poster.good("GET", f"/v1/tasks/{self.task}/dispute"))["id"]
            for_hustler = self.step.to_state == "COMPLETED"
            await self.chain.command(
                "select resolve_dispute($1, $2, $3, null, 'The photos show it.')",
                admin,
                UUID(dispute),
                "HUSTLER" if for_hustler else "POSTER",
            )
            return admin, "The photos show it."
        command = "admin_dispute_task" if self.step.event == "dispute" else "admin_cancel_task"
        await self.chain.command(
            f"select {command}($1, $2, 'Nobody answers.')", admin, UUID(self.task)
        )
        return admin, "Nobody answers."

    async def by_system(self) -> tuple[None, str]:
        """What the poster's bank does."""
        escrow = (await self.poster.task(self.task))["escrow"]["id"]
        fact = {
            "kind": "CHARGEBACK_OPENED",
            "reference": f"dp_{uuid4().hex}",
            "payment": f"pi_sim_{UUID(escrow).hex}",
            "amount_cents": 4_001,
        }
        await self.chain.command(
            "select book_provider_event($1, 'charge.dispute.created', $2::text::jsonb, null)",
            uuid4().hex,
            msgspec.json.encode(fact).decode(),
        )
        return None, "CHARGEBACK" if self.step.event == "cancel" else CHARGED_BACK


TAKEN = [(step, actor) for step in steps_of("task") for actor in step.actors]


@pytest.mark.parametrize(
    ("step", "actor"),
    TAKEN,
    ids=[f"{s.event}-{s.from_state}-{s.to_state}-{actor}" for s, actor in TAKEN],
)
async def test_both_sides_hear_of_every_step_and_history_keeps_it(
    chain: Chain, step: Step, actor: str
) -> None:
    """TASK_STATUS_UPDATE with the new state for poster and hustler; one row with actor and reason."""
    poster, hustler = await chain.pair()
    scene = Scene(chain, step, poster, hustler)
    await scene.lead_to_the_step(actor)
    await poster.catch_up()
    await hustler.catch_up()
    before = await chain.history(poster, scene.task)

    who, why = await scene.take(actor)

    held = step.event == "accept" or step.from_state not in ("OPEN", "MATCHING")
    for side in (poster, hustler) if held else (poster,):
        await side.hears("TASK_STATUS_UPDATE", task_id=scene.task, state=step.to_state)
    reader = hustler if held else poster
    (row,) = (await chain.history(reader, scene.task))[len(before) :]
    assert row == (step.from_state, step.to_state, str(who) if who else None, why)
