import time

import pytest
import stripe

from engine.money.providers.stripe.signature import TOLERANCE_S, BadSignature, check
from tests.engine.money.providers.stripe.webhook_queue import signature

BODY = b'{\n  "id": "evt_1",\n  "note": "\xc3\xa9"\n}'
NOW = 1_800_000_000
SECRET = "whsec_one"


def signed(body: bytes = BODY, at: int = NOW, secrets: tuple[str, ...] = (SECRET,)) -> str:
    """A good header."""
    return signature(body, list(secrets), at)


def test_a_signature_of_now_under_our_secret_is_good() -> None:
    """The plain case, and one at each end of the tolerance."""
    for at in (NOW, NOW - TOLERANCE_S, NOW + TOLERANCE_S):
        check(BODY, signed(at=at), [SECRET], NOW)


def test_while_a_secret_is_replaced_the_old_and_the_new_are_good() -> None:
    """Either side may be ahead; both may sign with both."""
    check(BODY, signed(secrets=("whsec_old",)), ["whsec_new", "whsec_old"], NOW)
    check(BODY, signed(secrets=("whsec_old", "whsec_new")), ["whsec_new"], NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1=00",
        f"t={NOW}",
        f"t={NOW},v0=00",
        f"t={NOW},v1=00",
        f"t={NOW},v1=é",
        f"t={NOW},t={NOW},v1=00",
        f"t=-{NOW},v1=00",
        "t=²,v1=00",
        "nonsense",
        f"t={'9' * 400},v1=00",
        f"t={'9' * 13},v1=00",
        "=" * 10_000,
    ],
)
def test_a_header_that_says_nothing_or_nonsense_is_bad(header: str) -> None:
    """None of them gets past, and none of them raises anything else."""
    with pytest.raises(BadSignature):
        check(BODY, header, [SECRET], NOW)


@pytest.mark.parametrize("at", [NOW - TOLERANCE_S - 1, NOW + TOLERANCE_S + 1])
def test_an_old_signature_is_bad_and_so_is_one_of_the_future(at: int) -> None:
    """A replay after five minutes."""
    with pytest.raises(BadSignature, match="too old"):
        check(BODY, signed(at=at), [SECRET], NOW)


def test_the_signature_covers_the_raw_body_and_its_time() -> None:
    """Another spelling of the same JSON, a changed byte, another time."""
    for body in (BODY.replace(b"\n", b""), BODY.replace(b"1", b"2"), b""):
        with pytest.raises(BadSignature):
            check(body, signed(), [SECRET], NOW)
    with pytest.raises(BadSignature):
        check(BODY, signed().replace(str(NOW), str(NOW + 1)), [SECRET], NOW)


def test_without_a_secret_nothing_is_good() -> None:
    """Also not what was signed with the empty secret."""
    with pytest.raises(BadSignature):
        check(BODY, signed(secrets=("",)), [], NOW)


def test_the_official_signer_and_verifier_agree_with_ours() -> None:
    """What one signs, the other believes."""
    now = int(time.time())
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, now)
    check(BODY, header, [SECRET], now)
    assert stripe.WebhookSignature.verify_header(BODY, signed(at=now), SECRET, TOLERANCE_S)
