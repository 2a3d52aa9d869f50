"""What a log keeps to itself, whatever it was given."""

from __future__ import annotations

import pytest

from gateway.server.redaction import REDACTED, Redactor, secrets_in, secrets_of
from gateway.settings.groups import Settings

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"token {JWT} is no good", "token [redacted] is no good"),
        (f"cut {JWT[:20]}", "cut [redacted]"),
        (f"Authorization: Bearer {JWT[3:]}", "Authorization: Bearer [redacted]"),
        ("Basic dTpwYXNz", "Basic [redacted]"),
        ("postgresql://u:p@ss@db:5432/x", "postgresql://[redacted]@db:5432/x"),
        ("redis://:pass@[::1]:6379 away", "redis://[redacted]@[::1]:6379 away"),
        ("host=db password=hunter2 port=1", "host=db password=[redacted] port=1"),
        ('{"client_secret": "a b", "id": 1}', '{"client_secret": [redacted], "id": 1}'),
        ("GET /ws?access_token=abc&x=1", "GET /ws?access_token=[redacted]&x=1"),
        ("sk_live_51Habc, whsec_abc", "[redacted], [redacted]"),
        ("pi_3P_secret_x9", "[redacted]"),
        ("DETAIL:  Failing row contains (1, 37.7, x (y)).", None),
        ("DETAIL:  Key (a, b)=(37.7, x) already exists.", None),
        ('{"lat": 37.7749, "lng":-122.4}', '{"lat": [redacted], "lng":[redacted]}'),
        ("Location(lat=37.7749, lng=-122.4)", "Location(lat=[redacted], lng=[redacted])"),
        ("https://id.example.com/keys at /v1/tasks", "https://id.example.com/keys at /v1/tasks"),
        ("3 tokens refilled, ratio=0.5, plate 12", "3 tokens refilled, ratio=0.5, plate 12"),
    ],
)
def test_a_secret_is_known_by_its_form(text: str, kept: str | None) -> None:
    """And what is none stays readable."""
    found = Redactor().text(text)
    assert REDACTED in found or found == text
    if kept is None:
        assert "37.7" not in found
    else:
        assert found == kept


def test_a_field_is_known_by_its_name_however_deep_it_stands() -> None:
    """Whatever its type; the others keep theirs."""
    event = {
        "event": "x",
        "status": 200,
        "refresh_token": 17,
        "task": {"start_code": "271828", "id": "t"},
        "moves": [{"lat": 37.7, "lng": -122.4}],
        "error": ValueError(f"no {JWT}"),
        "token": None,
    }
    assert Redactor()(None, "info", event) == {
        "event": "x",
        "status": 200,
        "refresh_token": REDACTED,
        "task": {"start_code": REDACTED, "id": "t"},
        "moves": [{"lat": REDACTED, "lng": REDACTED}],
        "error": "ValueError('no [redacted]')",
        "token": None,
    }


def test_the_secrets_of_this_process_are_known_by_value() -> None:
    """Keys, and the passwords within its URLs, encoded or not."""
    environ = {
        "HX_POSTGRES_DSN": "postgresql://u:a%2Fpassword@db/x?sslpassword=other-one",
        "HX_CODE_KEY": "code-key-" * 4,
        "HX_STRIPE_WEBHOOK_SECRETS": "whsec_first,whsec_second",
        "HX_JWT_ISSUERS": '[{"issuer": "https://id.example.com", "audience": "x",'
        ' "algorithms": ["HS256"], "key": "issuer-key-of-32-bytes-or-more-xx"}]',
    }
    said = (
        "a/password a%2Fpassword other-one code-key-code-key-code-key-code-key- whsec_second u db"
    )
    issuer = "issuer-key-of-32-bytes-or-more-xx"
    shown = " ".join([REDACTED] * 5) + " u db"
    assert Redactor(secrets_in(environ)).text(said) == shown
    assert Redactor(secrets_of(Settings.load(environ))).text(f"{said} {issuer}") == (
        f"{shown} {REDACTED}"
    )
