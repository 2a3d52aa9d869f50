"""The Python client of this repository, through everything that can happen to a task."""

from __future__ import annotations

from uuid import UUID

import pytest

from hustlexp_client import (
    Api,
    PaymentRefunded,
    PriceChanged,
    PriceProposal,
    ProofRejected,
    Refused,
)
from hustlexp_client.messages import Unknown
from tests.e2e.people import Chain


async def test_the_client_bargains_rejects_and_disputes(chain: Chain) -> None:
    """Each call by its method, each event as its type."""
    people = await chain.pair()
    poster, hustler = (Api(chain.service.http, person.user.token) for person in people)
    task_id = UUID(await chain.accepted(*people))

    declined = await hustler.propose_price(task_id, 6_000)
    assert (await poster.task(task_id)).proposal == declined
    assert (await poster.decline_price(task_id, declined.id)).state == "DECLINED"
    proposal = await poster.propose_price(task_id, 5_000)
    agreed = await hustler.agree_to_price(task_id, proposal.id)
    held = await poster.task(task_id)
    assert held.proposal == agreed
    assert held.replacement == agreed.escrow
    assert (await poster.fund(task_id)).state == "FUNDED"

    held = await poster.task(task_id)
    assert held.start_code is not None
    await hustler.start(task_id, held.start_code)
    await hustler.submit_proof(task_id, held.completion_code)
    assert (await poster.reject(task_id, "Not yet.")).state == "WORKING"
    with pytest.raises(Refused) as refused:
        await poster.approve(task_id)
    assert refused.value.code == "HX010"
    assert (await hustler.dispute(task_id, "It is done.")).state == "DISPUTED"

    (mine,) = await hustler.tasks("hustler")
    assert (mine.id, mine.state) == (task_id, "DISPUTED")
    assert mine.escrow is not None
    assert mine.escrow.state == "LOCKED_DISPUTE"
    for person in people:
        await person.catch_up()
    received = [await api.events() for api in (poster, hustler)]
    assert [len(messages) for messages in received] == [len(person.received) for person in people]
    kinds = {type(message.body) for messages in received for message in messages}
    assert {PaymentRefunded, PriceChanged, PriceProposal, ProofRejected} <= kinds
    assert Unknown not in kinds


async def test_the_client_reads_every_page(chain: Chain) -> None:
    """More tasks than a page has, newest first, each once."""
    poster = await chain.person("poster")
    made = [UUID((await chain.posted(poster))["id"]) for _ in range(53)]
    found = await Api(chain.service.http, poster.user.token).tasks("poster")
    assert [task.id for task in found] == made[::-1]
