"""Every setting of the service: read once from a mapping of names to texts (the environment).

A setting is a field with its name, unit, default and meaning; `docs/configuration.md` is drawn from
this module. An unknown `HX_` name is an error, so a misspelled setting never passes in silence.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from engine.live.broadcast_plan import BroadcastPlan
from gateway.identity.issuers import Issuer, issuers_from_json

PREFIX = "HX_"


class SettingsError(Exception):
    """A setting is unknown, missing or means nothing; the text names it and what it expects."""


# ── How a text becomes a value ───────────────────────────────────────────────────────────────────


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return parse


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return parse


def _yes_no(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        parts = urlsplit(text)
        if "," not in parts.netloc:  # PostgreSQL's may name several hosts, each with its port
            _ = parts.port
        return text

    return parse


def _photos_url(text: str) -> str:
    parts = urlsplit(_url("file", "s3")(text))
    if parts.query or parts.fragment:
        raise ValueError("a URL without ? and #")
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        raise ValueError("file:/// and the path of a folder")
    if parts.scheme == "s3" and not parts.netloc:
        raise ValueError("s3://bucket or s3://bucket/prefix")
    return text


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_~.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$")


def _origins(text: str) -> tuple[str, ...]:
    words = [word.strip().rstrip("/").lower() for word in text.split(",") if word.strip()]
    if not all(_ORIGIN.fullmatch(word) for word in words):
        raise ValueError(
            "a comma-separated list like https://app.example.com,capacitor://localhost"
        )
    # Browsers leave a default port out.
    return tuple(_DEFAULT_PORT.sub(r"\1\2", word) for word in words)


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        raise ValueError("a comma-separated list like 10.0.0.7,192.168.0.0/24") from None


def _key(text: str) -> str:
    if len(text.encode()) < 32:
        raise ValueError("a secret of at least 32 bytes")
    return text


def _secrets(text: str) -> tuple[str, ...]:
    secrets = tuple(word.strip() for word in text.split(",") if word.strip())
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise ValueError("a comma-separated list of secrets like whsec_…")
    return secrets


def _stripe_key(text: str) -> str:
    if not text.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        raise ValueError("a secret or restricted key: sk_… or rk_…")
    return text


def _setting(
    name: str,
    default: object,
    meaning: str,
    parse: Callable[[str], object] = str,
    *,
    unit: str = "",
    secret: bool = False,
) -> Any:
    metadata = {"name": name, "meaning": meaning, "parse": parse, "unit": unit, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


# ── The settings ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Http:
    """The one port that carries REST, WebSocket and pages."""

    host: str = _setting("HX_HOST", "127.0.0.1", "address the service listens on")
    port: int = _setting(
        "HX_PORT", 8000, "TCP port; 0 takes a free one", _whole(0, 65_535), unit="port"
    )
    origins: tuple[str, ...] = _setting(
        "HX_ORIGINS",
        (),
        "origins of web and hybrid apps that may call the service and open a WebSocket, besides its "
        "own, as `https://app.example.com` or `capacitor://localhost`; clients that send no Origin "
        "are no browsers and pass",
        _origins,
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = _setting(
        "HX_TRUSTED_PROXIES",
        (),
        "addresses and networks of the reverse proxies in front, whose `X-Forwarded-For`, `-Proto`, "
        "`-Host` and `-Port` are believed; unset: nobody's, and every limit by address counts the "
        "address that connects",
        _networks,
    )
    shutdown_s: float = _setting(
        "HX_SHUTDOWN_S",
        5.0,
        "how long requests and sockets may finish after SIGTERM",
        _number(0, 300),
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
    """A port of its own for /metrics, which the public one then does not show."""

    host: str = _setting(
        "HX_METRICS_HOST", "127.0.0.1", "address on which HX_METRICS_PORT is opened"
    )
    port: int | None = _setting(
        "HX_METRICS_PORT",
        None,
        "TCP port that serves /metrics, and nothing else; 0 takes a free one. Unset: /metrics is "
        "on HX_PORT, for everybody",
        _whole(0, 65_535),
        unit="port",
    )


@dataclass(frozen=True, slots=True)
class Postgres:
    """The truth."""

    dsn: str = _setting(
        "HX_POSTGRES_DSN",
        "",
        "login of the service; it must be able to take the role hx_app",
        _url("postgresql", "postgres"),
        secret=True,
    )
    owner_dsn: str = _setting(
        "HX_POSTGRES_OWNER_DSN",
        "",
        "login that migrates; it must be able to take or create the role hx_owner. Unset: "
        "HX_POSTGRES_DSN",
        _url("postgresql", "postgres"),
        secret=True,
    )
    pool_size: int = _setting(
        "HX_POSTGRES_POOL",
        16,
        "connections of each process at most",
        _whole(2, 500),
        unit="connections",
    )
    statement_cache: int = _setting(
        "HX_POSTGRES_STATEMENT_CACHE",
        100,
        "prepared statements that each connection keeps; 0 keeps none, for PgBouncer in transaction "
        "mode without max_prepared_statements",
        _whole(0, 10_000),
        unit="statements",
    )


@dataclass(frozen=True, slots=True)
class Verify:
    """The look at every derived fact, as `hustlexp invariants verify` takes it."""

    every_s: int = _setting(
        "HX_VERIFY_S",
        3600,
        "how often the service verifies every derived fact by itself; 0 never",
        _whole(0, 604_800),
        unit="s",
    )


@dataclass(frozen=True, slots=True)
class Redis:
    """Presence: Redis from 7.0 on, or Valkey from 8 on."""

    url: str = _setting(
        "HX_REDIS_URL",
        "",
        "where presence lives",
        _url("redis", "rediss", "unix"),
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Auth:
    """Whose tokens are believed, and what the task codes are made from."""

    issuers: tuple[Issuer, ...] = _setting(
        "HX_JWT_ISSUERS",
        (),
        "JSON list of identity providers: issuer and audience, and one of key, jwks, jwks_url, or "
        "none of them where the issuer describes itself; see docs/operations.md",
        issuers_from_json,
        secret=True,
    )
    code_key: str = _setting(
        "HX_CODE_KEY",
        "",
        "secret from which start and completion codes are derived; all processes share it",
        _key,
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The plan of each new broadcast, and the caps of the broadcaster."""

    initial_miles: float = _setting(
        "HX_BROADCAST_INITIAL_MILES", 3.0, "radius of the first wave", _number(0.1, 50), unit="mi"
    )
    step_miles: float = _setting(
        "HX_BROADCAST_STEP_MILES", 2.0, "growth with each wave", _number(0.1, 50), unit="mi"
    )
    max_miles: float = _setting(
        "HX_BROADCAST_MAX_MILES", 10.0, "radius that is never exceeded", _number(0.1, 25), unit="mi"
    )
    interval_s: int = _setting(
        "HX_BROADCAST_INTERVAL_S", 60, "time between two waves", _whole(1, 3600), unit="s"
    )
    ttl_s: int = _setting(
        "HX_BROADCAST_TTL_S",
        600,
        "life of a broadcast; the task's deadline may end it sooner",
        _whole(1, 86_400),
        unit="s",
    )
    tick_s: float = _setting(
        "HX_BROADCAST_TICK_S",
        0.5,
        "how often all broadcasts are compared with presence",
        _number(0.02, 5),
        unit="s",
    )
    offers_per_tick: int = _setting(
        "HX_OFFERS_PER_TICK",
        200,
        "new offers of one broadcast in one tick at most",
        _whole(1, 10_000),
        unit="offers",
    )
    open_offers: int = _setting(
        "HX_OPEN_OFFERS", 10, "open offers of one hustler at most", _whole(1, 100), unit="offers"
    )

    def plan(self) -> BroadcastPlan:
        """What each new broadcast is started with."""
        return BroadcastPlan(
            ttl_s=self.ttl_s,
            initial_radius_miles=self.initial_miles,
            max_radius_miles=self.max_miles,
            expansion_step_miles=self.step_miles,
            expansion_interval_s=self.interval_s,
        )


@dataclass(frozen=True, slots=True)
class Photos:
    """Where uploaded photos are kept."""

    url: str = _setting(
        "HX_PHOTOS_URL",
        "",
        "file:///folder or s3://bucket/prefix; unset: the folder `photos` in HX_DATA_DIR. All "
        "processes share it",
        _photos_url,
    )
    s3_endpoint: str = _setting(
        "HX_PHOTOS_S3_ENDPOINT",
        "",
        "address of an S3-compatible service, without the bucket; unset: AWS",
        _url("https", "http"),
    )
    s3_region: str = _setting("HX_PHOTOS_S3_REGION", "us-east-1", "region of the bucket")
    s3_key_id: str = _setting(
        "HX_PHOTOS_S3_KEY_ID",
        "",
        "access key id; unset: what AWS gives the machine",
    )
    s3_secret: str = _setting("HX_PHOTOS_S3_SECRET", "", "secret of that access key", secret=True)


@dataclass(frozen=True, slots=True)
class Payments:
    """Who moves the money."""

    provider: Literal["simulated", "stripe"] = _setting(
        "HX_PAYMENTS",
        "simulated",
        "simulated moves no money; stripe needs HX_STRIPE_KEY and HX_STRIPE_WEBHOOK_SECRETS",
        _choice("simulated", "stripe"),
    )
    simulated_mode: Literal["immediate", "delayed", "failing"] = _setting(
        "HX_SIMULATED_PAYMENTS",
        "immediate",
        "how simulated movements go: at once, after some seconds, or not at all",
        _choice("immediate", "delayed", "failing"),
    )
    stripe_key: str = _setting(
        "HX_STRIPE_KEY", "", "secret key of the Stripe account", _stripe_key, secret=True
    )
    webhook_secrets: tuple[str, ...] = _setting(
        "HX_STRIPE_WEBHOOK_SECRETS",
        (),
        "signing secrets of the webhook endpoint, comma-separated; two while one is replaced",
        _secrets,
        secret=True,
    )
    stripe_url: str = _setting(
        "HX_STRIPE_URL",
        "",
        "another address of Stripe's API, for a server that plays it",
        _url("https", "http"),
    )
    test_payment_method: str = _setting(
        "HX_STRIPE_TEST_PAYMENT_METHOD",
        "",
        "confirms every payment at once with this payment method, as pm_card_visa; needs a test key",
    )
    reconcile_s: float = _setting(
        "HX_RECONCILE_S",
        60.0,
        "how often what has begun at the provider is looked up, and its events are asked for again",
        _number(0.1, 3600),
        unit="s",
    )

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return "_live_" in self.stripe_key[:9]

    def check(self) -> None:
        """Raises SettingsError for what does not fit together."""
        if self.provider == "stripe" and not (self.stripe_key and self.webhook_secrets):
            raise SettingsError(
                "HX_PAYMENTS=stripe needs HX_STRIPE_KEY and HX_STRIPE_WEBHOOK_SECRETS."
            )
        if self.livemode and self.test_payment_method:
            raise SettingsError("HX_STRIPE_TEST_PAYMENT_METHOD is for test keys alone.")


@dataclass(frozen=True, slots=True)
class Log:
    """What the process writes to standard error."""

    level: str = _setting(
        "HX_LOG_LEVEL", "info", "least level", _choice("debug", "info", "warning", "error")
    )
    form: str = _setting(
        "HX_LOG_FORMAT",
        "json",
        "json for machines, console for people",
        _choice("json", "console"),
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
    log: Log = Log()
    data_dir: Path = _setting(  # noqa: RUF009  # makes a field, as field() does
        "HX_DATA_DIR",
        Path(".hustlexp"),
        "folder of `hustlexp dev`: embedded servers, development keys, run.json, photos",
        Path,
    )
    development: bool = _setting(
        "HX_DEVELOPMENT",
        False,
        "believe tokens signed with the data folder's key, and show the map without asking for one; "
        "never in production, and `serve` refuses it on any HX_HOST but this machine's own",
        _yes_no,
    )

    @classmethod
    def load(cls, environ: Mapping[str, str], given: Mapping[str, str] | None = None) -> Settings:
        """Reads `given` before `environ`; raises SettingsError for an unknown or bad setting.

        An empty text counts as unset.
        """
        texts = {
            name: text
            for name, text in {**environ, **(given or {})}.items()
            if name.startswith(PREFIX) and text
        }
        known = [item.name for item in catalogue()]
        for name in sorted(texts):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                raise SettingsError(
                    f"{name} is no setting of this version"
                    + (f"; did you mean {near[0]}?" if near else ".")
                    + " `hustlexp config` lists them all."
                )
        settings = cast("Settings", _built(cls, texts))
        plan = settings.broadcast
        if plan.initial_miles > plan.max_miles:
            raise SettingsError("HX_BROADCAST_INITIAL_MILES exceeds HX_BROADCAST_MAX_MILES.")
        if bool(settings.photos.s3_key_id) != bool(settings.photos.s3_secret):
            raise SettingsError("HX_PHOTOS_S3_KEY_ID and HX_PHOTOS_S3_SECRET belong together.")
        settings.payments.check()
        return settings

    def demand(self, *names: str) -> None:
        """Raises SettingsError when one of these settings is unset."""
        values = {item.name: item.value_in(self) for item in catalogue()}
        missing = [name for name in names if not values[name]]
        if missing:
            raise SettingsError(
                f"Unset: {', '.join(missing)}. `hustlexp config` explains each; `hustlexp dev` "
                "needs none of them."
            )


def _built(group: type[Any], texts: Mapping[str, str]) -> object:
    values: dict[str, object] = {}
    for member in dataclasses.fields(group):
        if not member.metadata:
            values[member.name] = _built(type(member.default), texts)
        elif member.metadata["name"] in texts:
            values[member.name] = _parsed(member.metadata, texts[member.metadata["name"]])
    return group(**values)


def _parsed(metadata: Mapping[str, Any], text: str) -> object:
    try:
        return metadata["parse"](text)
    except ValueError as error:
        shown = "its value" if metadata["secret"] else repr(text)
        raise SettingsError(f"{metadata['name']}: {shown} does not fit: {error}.") from error


# ── The settings as a list, for `hustlexp config` and the documentation ──────────────────────────


@dataclass(frozen=True, slots=True)
class Item:
    """One setting: where it stands, what it means."""

    name: str
    path: tuple[str, ...]
    default: object
    unit: str
    meaning: str
    secret: bool

    def value_in(self, settings: Settings) -> object:
        """Its value in these settings."""
        value: object = settings
        for step in self.path:
            value = getattr(value, step)
        return value

    def shown(self, value: object) -> str:
        """The value for a reader; of a secret only whether it is set."""
        if value in ("", (), None):
            return "unset"
        if self.secret:
            return "set (hidden)"
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def catalogue(group: type[Any] = Settings, path: tuple[str, ...] = ()) -> list[Item]:
    """All settings in the order of this module."""
    items: list[Item] = []
    for member in dataclasses.fields(group):
        here = (*path, member.name)
        if not member.metadata:
            items += catalogue(type(member.default), here)
            continue
        about = member.metadata
        items.append(
            Item(
                about["name"], here, member.default, about["unit"], about["meaning"],
                about["secret"],
            )
        )  # fmt: skip
    return items


def markdown() -> str:
    """The table of `docs/configuration.md`."""
    lines = ["| Setting | Default | Unit | Meaning |", "|---|---|---|---|"]
    for item in catalogue():
        default = item.shown(item.default)
        lines.append(f"| `{item.name}` | `{default}` | {item.unit or '–'} | {item.meaning} |")
    return "\n".join(lines) + "\n"
