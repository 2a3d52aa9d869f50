"""One NewType per kind of identifier, so that mixing them does not type-check."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
TaskId = NewType("TaskId", UUID)
BroadcastId = NewType("BroadcastId", UUID)
EscrowId = NewType("EscrowId", UUID)
ProofId = NewType("ProofId", UUID)
ProposalId = NewType("ProposalId", UUID)
DisputeId = NewType("DisputeId", UUID)
BadgeId = NewType("BadgeId", UUID)
UploadId = NewType("UploadId", UUID)
SettlementId = NewType("SettlementId", UUID)
ItemId = NewType("ItemId", UUID)
AwardId = NewType("AwardId", UUID)
