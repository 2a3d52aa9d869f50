"""The settings of the service, in one group for each part that takes them.

A setting is a field with its name, unit, default and meaning; `docs/configuration.md` is drawn from
this module.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from broadcast.limits import WaveLimits
from engine.live.broadcast_plan import BroadcastPlan
from engine.matching.score import HX_1_0, PROFILES
from gateway.identity.issuers import Issuer, issuers_from_json
from gateway.settings import loading, parsers
from gateway.settings.loading import SettingsError, setting


@dataclass(frozen=True, slots=True)
class Http:
    """Settings of the port for REST, WebSocket and pages."""

    host: str = setting("HX_HOST", "127.0.0.1", "address the service listens on")
    port: int = setting(
        "HX_PORT", 8000, "TCP port; 0 takes a free one", parsers.whole(0, 65_535), unit="port"
    )
    origins: tuple[str, ...] = setting(
        "HX_ORIGINS",
        (),
        "origins of web and hybrid apps that may call the service and open a WebSocket, besides its "
        "own, as `https://app.example.com` or `capacitor://localhost`; who sends none passes",
        parsers.origins,
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = setting(
        "HX_TRUSTED_PROXIES",
        (),
        "addresses and networks of the reverse proxies in front, whose `X-Forwarded-For`, `-Proto`, "
        "`-Host` and `-Port` are believed; unset: nobody's, and every limit by address counts the "
        "address that connects",
        parsers.networks,
    )
    drain_s: float = setting(
        "HX_DRAIN_S",
        0.0,
        "over how long after SIGTERM sockets are told in batches to come back; /readyz says 503",
        parsers.number(0, 300),
        unit="s",
    )
    shutdown_s: float = setting(
        "HX_SHUTDOWN_S",
        5.0,
        "how long requests and sockets may finish after that",
        parsers.number(0, 300),
        unit="s",
    )

    @property
    def stays_here(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class MetricsPort:
    """Settings of a port for /metrics alone, which the public port then does not serve."""

    host: str = setting(
        "HX_METRICS_HOST", "127.0.0.1", "address on which HX_METRICS_PORT is opened"
    )
    port: int | None = setting(
        "HX_METRICS_PORT",
        None,
        "TCP port that serves /metrics, and nothing else; 0 takes a free one. Unset: /metrics is "
        "on HX_PORT, for everybody",
        parsers.whole(0, 65_535),
        unit="port",
    )


@dataclass(frozen=True, slots=True)
class Postgres:
    """Settings of the PostgreSQL database."""

    dsn: str = setting(
        "HX_POSTGRES_DSN",
        "",
        "login of the service; it must be able to take the role hx_app",
        parsers.url("postgresql", "postgres"),
        secret=True,
    )
    owner_dsn: str = setting(
        "HX_POSTGRES_OWNER_DSN",
        "",
        "login that migrates; it must be able to take or create the role hx_owner. Unset: "
        "HX_POSTGRES_DSN",
        parsers.url("postgresql", "postgres"),
        secret=True,
    )
    pool_size: int = setting(
        "HX_POSTGRES_POOL",
        16,
        "connections of each process at most",
        parsers.whole(2, 500),
        unit="connections",
    )
    statement_cache: int = setting(
        "HX_POSTGRES_STATEMENT_CACHE",
        100,
        "prepared statements that each connection keeps; 0 keeps none, for PgBouncer in transaction "
        "mode without max_prepared_statements",
        parsers.whole(0, 10_000),
        unit="statements",
    )


@dataclass(frozen=True, slots=True)
class Verify:
    """Settings of the periodic check of every derived fact (`hustlexp invariants verify`)."""

    every_s: int = setting(
        "HX_VERIFY_S",
        3600,
        "how often the service verifies every derived fact by itself; 0 never",
        parsers.whole(0, 604_800),
        unit="s",
    )


@dataclass(frozen=True, slots=True)
class Redis:
    """Settings of the presence server: Redis from 7.0 on, or Valkey from 8 on."""

    url: str = setting(
        "HX_REDIS_URL",
        "",
        "where presence lives: a server, or any one of a cluster",
        parsers.url("redis", "rediss", "unix"),
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Auth:
    """Settings of the accepted token issuers and of the key of the task codes."""

    issuers: tuple[Issuer, ...] = setting(
        "HX_JWT_ISSUERS",
        (),
        "JSON list of identity providers: issuer and audience, and one of key, jwks, jwks_url, or "
        "none of them where the issuer describes itself; see docs/operations.md",
        issuers_from_json,
        secret=True,
    )
    code_key: str = setting(
        "HX_CODE_KEY",
        "",
        "secret from which start and completion codes are derived; all processes share it",
        parsers.secret_key,
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Settings of each new broadcast's plan, and the caps of the broadcaster."""

    initial_miles: float = setting(
        "HX_BROADCAST_INITIAL_MILES",
        3.0,
        "radius of the first wave",
        parsers.number(0.1, 50),
        unit="mi",
    )
    step_miles: float = setting(
        "HX_BROADCAST_STEP_MILES", 2.0, "growth with each wave", parsers.number(0.1, 50), unit="mi"
    )
    max_miles: float = setting(
        "HX_BROADCAST_MAX_MILES",
        10.0,
        "radius that is never exceeded",
        parsers.number(0.1, 25),
        unit="mi",
    )
    interval_s: int = setting(
        "HX_BROADCAST_INTERVAL_S", 60, "time between two waves", parsers.whole(1, 3600), unit="s"
    )
    ttl_s: int = setting(
        "HX_BROADCAST_TTL_S",
        600,
        "life of a broadcast; the task's deadline may end it sooner",
        parsers.whole(1, 86_400),
        unit="s",
    )
    tick_s: float = setting(
        "HX_BROADCAST_TICK_S",
        1.0,
        "how often all broadcasts are compared with presence",
        parsers.number(0.02, 5),
        unit="s",
    )
    offers_per_tick: int = setting(
        "HX_OFFERS_PER_TICK",
        200,
        "new offers of one broadcast in one tick at most",
        parsers.whole(1, 10_000),
        unit="offers",
    )
    open_offers: int = setting(
        "HX_OPEN_OFFERS",
        10,
        "open offers of one hustler at most",
        parsers.whole(1, 100),
        unit="offers",
    )
    score_profile: str = setting(
        "HX_SCORE_PROFILE", HX_1_0.name, "profile of the matching score", parsers.choice(*PROFILES)
    )

    def plan(self) -> BroadcastPlan:
        """Returns the plan with which each new broadcast is started."""
        return BroadcastPlan(
            ttl_s=self.ttl_s,
            initial_radius_miles=self.initial_miles,
            max_radius_miles=self.max_miles,
            expansion_step_miles=self.step_miles,
            expansion_interval_s=self.interval_s,
        )

    def wave_limits(self) -> WaveLimits:
        """Returns the limits of the broadcaster's speed and volume."""
        return WaveLimits(
            tick_s=self.tick_s,
            offers_per_tick=self.offers_per_tick,
            open_offers=self.open_offers,
            profile=PROFILES[self.score_profile],
        )


@dataclass(frozen=True, slots=True)
class Photos:
    """Settings of the store of uploaded photos."""

    url: str = setting(
        "HX_PHOTOS_URL",
        "",
        "file:///folder or s3://bucket/prefix; unset: the folder `photos` in HX_DATA_DIR. All "
        "processes share it",
        parsers.photos_url,
    )
    s3_endpoint: str = setting(
        "HX_PHOTOS_S3_ENDPOINT",
        "",
        "address of an S3-compatible service, without the bucket; unset: AWS",
        parsers.url("https", "http"),
    )
    s3_region: str = setting("HX_PHOTOS_S3_REGION", "us-east-1", "region of the bucket")
    s3_key_id: str = setting(
        "HX_PHOTOS_S3_KEY_ID",
        "",
        "access key id; unset: what AWS gives the machine",
    )
    s3_secret: str = setting("HX_PHOTOS_S3_SECRET", "", "secret of that access key", secret=True)


@dataclass(frozen=True, slots=True)
class Payments:
    """Settings of the payment provider."""

    provider: Literal["simulated", "stripe"] = setting(
        "HX_PAYMENTS",
        "simulated",
        "simulated moves no money; stripe needs HX_STRIPE_KEY and HX_STRIPE_WEBHOOK_SECRETS",
        parsers.choice("simulated", "stripe"),
    )
    simulated_mode: Literal["immediate", "delayed", "failing"] = setting(
        "HX_SIMULATED_PAYMENTS",
        "immediate",
        "how simulated movements go: at once, after some seconds, or not at all",
        parsers.choice("immediate", "delayed", "failing"),
    )
    stripe_key: str = setting(
        "HX_STRIPE_KEY", "", "secret key of the Stripe account", parsers.stripe_key, secret=True
    )
    webhook_secrets: tuple[str, ...] = setting(
        "HX_STRIPE_WEBHOOK_SECRETS",
        (),
        "signing secrets of the webhook endpoint, comma-separated; two while one is replaced",
        parsers.webhook_secrets,
        secret=True,
    )
    stripe_url: str = setting(
        "HX_STRIPE_URL",
        "",
        "another address of Stripe's API, for a server that plays it",
        parsers.url("https", "http"),
    )
    test_payment_method: str = setting(
        "HX_STRIPE_TEST_PAYMENT_METHOD",
        "",
        "confirms every payment at once with this payment method, as pm_card_visa; needs a test key",
    )
    reconcile_s: float = setting(
        "HX_RECONCILE_S",
        60.0,
        "how often what has begun at the provider is looked up, and its events are asked for again",
        parsers.number(0.1, 3600),
        unit="s",
    )

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return "_live_" in self.stripe_key[:9]

    def check(self) -> None:
        """Raises SettingsError for settings that contradict each other."""
        if self.provider == "stripe" and not (self.stripe_key and self.webhook_secrets):
            raise SettingsError(
                "HX_PAYMENTS=stripe needs HX_STRIPE_KEY and HX_STRIPE_WEBHOOK_SECRETS."
            )
        if self.livemode and self.test_payment_method:
            raise SettingsError("HX_STRIPE_TEST_PAYMENT_METHOD is for test keys alone.")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Settings of the log on standard error."""

    level: str = setting(
        "HX_LOG_LEVEL", "info", "least level", parsers.choice("debug", "info", "warning", "error")
    )
    form: str = setting(
        "HX_LOG_FORMAT",
        "json",
        "json for machines, console for people",
        parsers.choice("json", "console"),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, in the groups that the parts of the service take."""

    http: Http = Http()
    metrics: MetricsPort = MetricsPort()
    postgres: Postgres = Postgres()
    redis: Redis = Redis()
    auth: Auth = Auth()
    broadcast: Broadcast = Broadcast()
    photos: Photos = Photos()
    payments: Payments = Payments()
    verify: Verify = Verify()
    log: LogSettings = LogSettings()
    data_dir: Path = setting(  # noqa: RUF009  # makes a field, as field() does
        "HX_DATA_DIR",
        Path(".hustlexp"),
        "folder of `hustlexp dev`: embedded servers, development keys, run.json, photos",
        Path,
    )
    development: bool = setting(
        "HX_DEVELOPMENT",
        False,
        "believe tokens signed with the data folder's key, and show the map without asking for one; "
        "never in production, and `serve` refuses it on any HX_HOST but this machine's own",
        parsers.yes_no,
    )

    @classmethod
    def load(cls, environ: Mapping[str, str], given: Mapping[str, str] | None = None) -> Settings:
        """Reads `given` before `environ`; raises SettingsError for an unknown or bad setting.

        An empty text counts as unset.
        """
        settings = loading.load(cls, {**environ, **(given or {})})
        plan = settings.broadcast
        if plan.initial_miles > plan.max_miles:
            raise SettingsError("HX_BROADCAST_INITIAL_MILES exceeds HX_BROADCAST_MAX_MILES.")
        if bool(settings.photos.s3_key_id) != bool(settings.photos.s3_secret):
            raise SettingsError("HX_PHOTOS_S3_KEY_ID and HX_PHOTOS_S3_SECRET belong together.")
        settings.payments.check()
        return settings

    def demand(self, *names: str) -> None:
        """Raises SettingsError when one of these settings is unset."""
        values = {item.name: item.value_in(self) for item in loading.catalogue(Settings)}
        missing = [name for name in names if not values[name]]
        if missing:
            raise SettingsError(
                f"Unset: {', '.join(missing)}. `hustlexp config` explains each; `hustlexp dev` "
                "needs none of them."
            )
