"""Settings: read once, refused when unknown, hidden when secret, and documented."""

from __future__ import annotations

import pytest

from engine.matching.score import HX_1_0, HX_CAL_1
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError, catalogue, markdown
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "configuration.md"


def test_without_environment_every_setting_has_its_default() -> None:
    """The catalogue and the dataclasses say the same."""
    settings = Settings.load({"PATH": "/bin"})
    assert settings == Settings()
    assert all(item.value_in(settings) == item.default for item in catalogue(Settings))


def test_a_value_is_parsed_to_its_type_and_empty_counts_as_unset() -> None:
    """Text becomes a number, a list, a flag."""
    settings = Settings.load(
        {
            "HX_PORT": "",
            "HX_POSTGRES_POOL": "7",
            "HX_ORIGINS": "https://a.example/, https://b.example",
            "HX_DEVELOPMENT": "yes",
        }
    )
    assert settings.http.port == 8000
    assert settings.postgres.pool_size == 7
    assert settings.http.origins == ("https://a.example", "https://b.example")
    assert settings.development


def test_what_a_command_gives_heartbeats_the_environment() -> None:
    """`--port` wins over HX_PORT."""
    assert Settings.load({"HX_PORT": "1"}, {"HX_PORT": "2"}).http.port == 2


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    """A misspelled setting never passes in silence."""
    with pytest.raises(SettingsError, match=r"HX_POSTGRES_DNS .* did you mean HX_POSTGRES_DSN"):
        Settings.load({"HX_POSTGRES_DNS": "postgresql://x"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HX_PORT", "65536"),
        ("HX_PORT", "eighty"),
        ("HX_BROADCAST_TICK_S", "nan"),
        ("HX_BROADCAST_TICK_S", "inf"),
        ("HX_BROADCAST_MAX_MILES", "2"),
        ("HX_BROADCAST_TTL_S", "0"),
        ("HX_SCORE_PROFILE", "hx-2.0"),
        ("HX_POSTGRES_DSN", "mysql://x"),
        ("HX_REDIS_URL", "localhost:6379"),
        ("HX_ORIGINS", "a.example"),
        ("HX_ORIGINS", "*"),
        ("HX_ORIGINS", "null"),
        ("HX_ORIGINS", "app.example.com"),
        ("HX_ORIGINS", "https://app.example.com/path"),
        ("HX_ORIGINS", "https://me@app.example.com"),
        ("HX_ORIGINS", "capacitor://"),
        ("HX_TRUSTED_PROXIES", "*"),
        ("HX_TRUSTED_PROXIES", "nginx"),
        ("HX_TRUSTED_PROXIES", "10.0.0.7/8"),
        ("HX_PHOTOS_URL", "/srv/photos"),
        ("HX_PHOTOS_URL", "file://elsewhere/photos"),
        ("HX_PHOTOS_URL", "file:///"),
        ("HX_PHOTOS_URL", "s3:///prefix"),
        ("HX_PHOTOS_URL", "s3://bucket?region=here"),
        ("HX_PHOTOS_S3_ENDPOINT", "s3.example.com"),
        ("HX_PHOTOS_S3_KEY_ID", "without its secret"),
        ("HX_PHOTOS_S3_SECRET", "without its key id"),
        ("HX_LOG_LEVEL", "loud"),
        ("HX_PAYMENTS", "cash"),
        ("HX_PAYMENTS", "stripe"),
        ("HX_STRIPE_KEY", "pk_test_public"),
        ("HX_STRIPE_WEBHOOK_SECRETS", "secret"),
        ("HX_STRIPE_URL", "api.stripe.com"),
        ("HX_RECONCILE_S", "0"),
        ("HX_DEVELOPMENT", "maybe"),
        ("HX_CODE_KEY", "too short"),
        ("HX_JWT_ISSUERS", "[{}]"),
        ("HX_JWT_ISSUERS", "no json"),
        (
            "HX_JWT_ISSUERS",
            '[{"issuer": "i", "audience": "a", "algorithms": ["RS256"], "key": "no PEM"}]',
        ),
    ],
)
def test_a_value_that_means_nothing_is_an_error_that_names_its_setting(
    name: str, text: str
) -> None:
    """Out of range, not finite, of the wrong kind."""
    with pytest.raises(SettingsError, match=name):
        Settings.load({name: text})


def test_the_profile_of_the_score_is_chosen_by_its_name() -> None:
    """hx-1.0 unless another is named; an unknown name is refused with those there are."""
    assert Settings.load({}).broadcast.wave_limits().profile is HX_1_0
    given = {"HX_SCORE_PROFILE": "hx-cal-1"}
    assert Settings.load(given).broadcast.wave_limits().profile is HX_CAL_1
    with pytest.raises(SettingsError, match=r"one of hx-1\.0, hx-cal-1"):
        Settings.load({"HX_SCORE_PROFILE": "hx-2.0"})


def test_origins_are_those_that_browsers_and_apps_send() -> None:
    """Any scheme, in lower case, without the port that browsers leave out."""
    given = (
        "https://App.example.com/, http://localhost,capacitor://localhost,ionic://localhost,"
        "tauri://localhost,chrome-extension://abcdef,https://a.example:443,http://b.example:80,"
        "http://[::1]:3000,https://c.example:80"
    )
    assert Settings.load({"HX_ORIGINS": given}).http.origins == (
        "https://app.example.com", "http://localhost", "capacitor://localhost",
        "ionic://localhost", "tauri://localhost", "chrome-extension://abcdef",
        "https://a.example", "http://b.example", "http://[::1]:3000", "https://c.example:80",
    )  # fmt: skip


def test_proxies_are_addresses_and_networks() -> None:
    """Unset trusts nobody."""
    assert Settings.load({}).http.trusted_proxies == ()
    trusted = Settings.load({"HX_TRUSTED_PROXIES": "10.0.0.7, 192.168.0.0/24,::1,"}).http
    assert [str(network) for network in trusted.trusted_proxies] == [
        "10.0.0.7/32",
        "192.168.0.0/24",
        "::1/128",
    ]


def test_secrets_show_neither_in_repr_nor_in_errors() -> None:
    """DSNs, keys and issuers stay out of logs."""
    settings = Settings.load(
        {"HX_POSTGRES_DSN": "postgresql://u:hunter2@h/d", "HX_CODE_KEY": "hunter2" * 8}
    )
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        Settings.load({"HX_CODE_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_payment_method_for_tests_does_not_go_with_a_key_that_moves_money() -> None:
    """A live key beside pm_card_visa is a mistake; several signing secrets are not."""
    with pytest.raises(SettingsError, match="HX_STRIPE_TEST_PAYMENT_METHOD"):
        Settings.load(
            {"HX_STRIPE_KEY": "sk_live_1", "HX_STRIPE_TEST_PAYMENT_METHOD": "pm_card_visa"}
        )
    payments = Settings.load({"HX_STRIPE_WEBHOOK_SECRETS": "whsec_a, whsec_b"}).payments
    assert payments.webhook_secrets == ("whsec_a", "whsec_b")
    assert "whsec_a" not in repr(payments)
    assert not payments.livemode


def test_a_command_can_demand_what_it_needs() -> None:
    """The sentence names everything that is missing at once."""
    with pytest.raises(SettingsError, match="HX_POSTGRES_DSN, HX_REDIS_URL"):
        Settings.load({}).demand("HX_POSTGRES_DSN", "HX_PORT", "HX_REDIS_URL")


def test_the_document_holds_exactly_these_settings() -> None:
    """docs/configuration.md is drawn by `hustlexp config --markdown-table`."""
    assert DOCUMENT.read_text().endswith(markdown(catalogue(Settings)))
