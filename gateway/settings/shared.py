"""Which settings must be the same in every process of one database, and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from engine.admin.processes import SettingsGroup
from gateway.settings.groups import Settings
from gateway.settings.loading import catalogue

SHARED: Final[Mapping[str, tuple[str, ...]]] = {
    "presence": ("HX_REDIS_URL",),
    "tokens and codes": ("HX_JWT_ISSUERS", "HX_CODE_KEY", "HX_DEVELOPMENT"),
    "broadcasts": (
        "HX_BROADCAST_INITIAL_MILES",
        "HX_BROADCAST_STEP_MILES",
        "HX_BROADCAST_MAX_MILES",
        "HX_BROADCAST_INTERVAL_S",
        "HX_BROADCAST_TTL_S",
        "HX_BROADCAST_TICK_S",
        "HX_OFFERS_PER_TICK",
        "HX_OPEN_OFFERS",
        "HX_SCORE_PROFILE",
    ),
    "photos": ("HX_PHOTOS_URL", "HX_PHOTOS_S3_ENDPOINT", "HX_PHOTOS_S3_REGION"),
    "payments": (
        "HX_PAYMENTS",
        "HX_SIMULATED_PAYMENTS",
        "HX_STRIPE_KEY",
        "HX_STRIPE_WEBHOOK_SECRETS",
        "HX_STRIPE_URL",
        "HX_STRIPE_TEST_PAYMENT_METHOD",
    ),
}
"""By group. What belongs to one process (ports, pool, log) may differ."""


_TEXT: Final = msgspec.json.Encoder(enc_hook=str, order="deterministic")


def shared_settings(settings: Settings) -> dict[str, SettingsGroup]:
    """Returns each group with the digest of its values, and those that are no secret, as text."""
    items = {item.name: item for item in catalogue(Settings)}
    groups = {}
    for group, names in SHARED.items():
        values = {name: items[name].value_in(settings) for name in names}
        groups[group] = SettingsGroup(
            hashlib.sha256(_TEXT.encode(values)).hexdigest()[:16],
            {name: items[name].shown(values[name]) for name in names if not items[name].secret},
            [name for name in names if items[name].secret],
        )
    return groups
