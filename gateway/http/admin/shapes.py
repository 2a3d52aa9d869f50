"""What the commands of the admin API share: a reason, which stays on record, and names of few characters."""

from __future__ import annotations

from msgspec import Meta

from gateway.contract.fields import Text
from gateway.http.decoding import Sent


def name(characters: str, at_most: int, description: str) -> Meta:
    """A name of these characters; no new line behind it."""
    return Meta(pattern=rf"^[{characters}]{{1,{at_most}}}(?![\s\S])", description=description)


class Why(Sent, frozen=True):
    """The body of a command that needs nothing but its reason."""

    reason: Text
