"""Table of every metric family: its labels, when to worry about it, and its alert.

One table for the documentation, the Grafana dashboard and the alert rules, which `gateway.metrics.monitoring`
draws; what a family means is its own help text in its recorder. A test holds table, registry and
drawings equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["page", "ticket"]
"""Wake somebody, or look at it in working hours."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule: it fires when `expr` has held for `holds`."""

    name: str
    expr: str
    holds: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric family as the registry names it (a counter without `_total`)."""

    family: str
    labels: tuple[str, ...] = ()
    worry: str = ""
    alert: Alert | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A group of families: one heading of the page, one row of the dashboard."""

    title: str
    figures: tuple[Figure, ...]


def quantile(share: float, family: str, window: str) -> str:
    """Returns the PromQL of a histogram's quantile over all processes and labels."""
    return f"histogram_quantile({share:g}, sum by (le) (rate({family}_bucket[{window}])))"


DOWN: Final = Alert("HustleXPDown", 'up{job="hustlexp"} == 0', "1m", "page")
"""Prometheus's own figure: nobody answers the scrape."""

SECTIONS: Final = (
    Section(
        "Success",
        (
            Figure(
                "hustlexp_time_to_accept_seconds",
                worry="The median passes 60 s: the product's success figure",
                alert=Alert(
                    "HustleXPSlowToAccept",
                    f"{quantile(0.5, 'hustlexp_time_to_accept_seconds', '1h')} > 60",
                    "15m",
                    "ticket",
                ),
            ),
            Figure("hustlexp_human_accept_seconds"),
            Figure(
                "hustlexp_first_card_seconds",
                worry="The machinery's share, funded → first card, grows while people's share does "
                "not",
                alert=Alert(
                    "HustleXPFirstCardLate",
                    f"{quantile(0.99, 'hustlexp_first_card_seconds', '10m')} > 1",
                    "10m",
                    "ticket",
                ),
            ),
            Figure("hustlexp_first_offer_seconds"),
            Figure(
                "hustlexp_accept_notified_seconds",
                worry="Posters learn later than half a second after the commit that their task is "
                "taken",
                alert=Alert(
                    "HustleXPAcceptNotifiedLate",
                    f"{quantile(0.99, 'hustlexp_accept_notified_seconds', '10m')} > 0.5",
                    "10m",
                    "ticket",
                ),
            ),
            Figure("hustlexp_broadcasts_ended", ("state",)),
        ),
    ),
    Section(
        "Broadcasts",
        (
            Figure("hustlexp_broadcasts"),
            Figure("hustlexp_offers"),
            Figure("hustlexp_offers_deferred"),
            Figure(
                "hustlexp_offers_resent",
                worry="It grows steadily: sockets do not take what they are sent",
                alert=Alert(
                    "HustleXPOffersResent",
                    "rate(hustlexp_offers_resent_total[10m]) > 0.05 * "
                    "rate(hustlexp_offers_total[10m]) + 0.1",
                    "10m",
                    "ticket",
                ),
            ),
            Figure(
                "hustlexp_expansion_late_seconds",
                worry="Its 99th percentile passes 0.1 s: rings come late, the process has too much "
                "to do",
                alert=Alert(
                    "HustleXPRingsLate",
                    f"{quantile(0.99, 'hustlexp_expansion_late_seconds', '10m')} > 0.5",
                    "10m",
                    "ticket",
                ),
            ),
            Figure("hustlexp_pairs_evaluated"),
            Figure("hustlexp_hustlers_read"),
            Figure("hustlexp_wave_queries"),
            Figure(
                "hustlexp_wave_failures",
                ("loop",),
                worry="It grows: rounds of the broadcaster are lost, the log says why",
                alert=Alert(
                    "HustleXPWavesFail",
                    "sum by (loop) (increase(hustlexp_wave_failures_total[10m])) > 5",
                    "5m",
                    "page",
                ),
            ),
            Figure(
                "hustlexp_tick_seconds",
                worry="It passes `HX_BROADCAST_TICK_S`: waves come late",
                alert=Alert(
                    "HustleXPTickSlow",
                    f"{quantile(0.99, 'hustlexp_tick_seconds', '10m')} > 1",
                    "10m",
                    "ticket",
                ),
            ),
        ),
    ),
    Section(
        "Sessions",
        (
            Figure("hustlexp_sessions"),
            Figure("hustlexp_live_sessions"),
            Figure("hustlexp_session_starts", ("how",)),
            Figure("hustlexp_events_replayed"),
            Figure(
                "hustlexp_slow_sockets_dropped",
                worry="It jumps: a network or a client does not read",
                alert=Alert(
                    "HustleXPSlowSockets",
                    "increase(hustlexp_slow_sockets_dropped_total[10m]) > "
                    "0.05 * hustlexp_sessions + 20",
                    "5m",
                    "ticket",
                ),
            ),
        ),
    ),
    Section(
        "Requests",
        (
            Figure(
                "hustlexp_requests",
                ("method", "route", "status"),
                worry="More than 1 % of the answers are 5xx",
                alert=Alert(
                    "HustleXPServerErrors",
                    'sum(rate(hustlexp_requests_total{status=~"5.."}[5m])) > '
                    "0.01 * sum(rate(hustlexp_requests_total[5m])) + 0.05",
                    "5m",
                    "page",
                ),
            ),
            Figure("hustlexp_request_seconds", ("route",)),
            Figure(
                "hustlexp_refusals",
                ("code", "invariant", "channel"),
                worry="`INTERNAL_ERROR` appears: a defect, with its traceback in the log",
                alert=Alert(
                    "HustleXPInternalErrors",
                    'increase(hustlexp_refusals_total{code="INTERNAL_ERROR"}[10m]) > 0',
                    "0m",
                    "page",
                ),
            ),
            Figure(
                "hustlexp_connections_refused",
                ("reason",),
                worry="`framing` or `host` grow: something in front writes requests that can be read "
                "in two ways; `slow_body`, `slow_reader`: a network is ill",
                alert=Alert(
                    "HustleXPDoubtfulRequests",
                    'increase(hustlexp_connections_refused_total{reason=~"framing|host"}[10m]) > 20',
                    "5m",
                    "ticket",
                ),
            ),
            Figure(
                "hustlexp_away",
                ("part",),
                worry="It grows: calls find PostgreSQL or Valkey away",
                alert=Alert(
                    "HustleXPPartAway",
                    "sum by (part) (increase(hustlexp_away_total[5m])) > 5",
                    "1m",
                    "page",
                ),
            ),
        ),
    ),
    Section(
        "What waits, and what must hold",
        (
            Figure(
                "hustlexp_timer_lag_seconds",
                worry="Over 5 s: timers do not keep up, or PostgreSQL is away",
                alert=Alert(
                    "HustleXPTimersLate", "max(hustlexp_timer_lag_seconds) > 5", "2m", "page"
                ),
            ),
            Figure(
                "hustlexp_subscriber_failures",
                ("subscriber",),
                worry="It grows: what commands did is not passed on at once, the log says why",
                alert=Alert(
                    "HustleXPSubscriberFails",
                    "sum by (subscriber) (increase(hustlexp_subscriber_failures_total[10m])) > 5",
                    "1m",
                    "page",
                ),
            ),
            Figure(
                "hustlexp_net_horizon_age_seconds",
                worry="Over 15 s: a write transaction stays open, or PostgreSQL is away; what a push "
                "lost, or another process did, comes late",
                alert=Alert(
                    "HustleXPNetStands", "max(hustlexp_net_horizon_age_seconds) > 15", "1m", "page"
                ),
            ),
            Figure(
                "hustlexp_settlements_pending",
                worry="It does not return to 0: the provider refuses or is away",
                alert=Alert(
                    "HustleXPSettlementsWait",
                    "max(min_over_time(hustlexp_settlements_pending[30m])) > 0",
                    "5m",
                    "ticket",
                ),
            ),
            Figure(
                "hustlexp_invariant_disagreements",
                ("check",),
                worry="It is not 0",
                alert=Alert(
                    "HustleXPInvariantBroken",
                    "max by (check) (hustlexp_invariant_disagreements) > 0",
                    "0m",
                    "page",
                ),
            ),
            Figure(
                "hustlexp_verified_timestamp_seconds",
                worry="It is older than two rounds (`hustlexp_verify_interval_seconds`)",
                alert=Alert(
                    "HustleXPNotVerified",
                    # From the second round after a start on; never where the interval is 0.
                    "(time() - hustlexp_verified_timestamp_seconds > "
                    "2 * hustlexp_verify_interval_seconds + 300) and "
                    "(time() - process_start_time_seconds > "
                    "2 * hustlexp_verify_interval_seconds + 300) and "
                    "(hustlexp_verify_interval_seconds > 0)",
                    "5m",
                    "ticket",
                ),
            ),
            Figure("hustlexp_verify_interval_seconds"),
        ),
    ),
    Section(
        "Database connections",
        (
            Figure("hustlexp_database_connections", ("state",)),
            Figure("hustlexp_database_connections_max"),
            Figure(
                "hustlexp_database_calls_waiting",
                worry="It stays above 0: the pool is too small, or PostgreSQL too slow",
                alert=Alert(
                    "HustleXPPoolExhausted",
                    "min_over_time(hustlexp_database_calls_waiting[2m]) > 0",
                    "1m",
                    "page",
                ),
            ),
            Figure(
                "hustlexp_database_wait_seconds",
                worry="Its 99th percentile passes 0.1 s: as above, before calls fail",
                alert=Alert(
                    "HustleXPPoolSlow",
                    f"{quantile(0.99, 'hustlexp_database_wait_seconds', '5m')} > 0.1",
                    "5m",
                    "ticket",
                ),
            ),
        ),
    ),
    Section(
        "Process",
        (
            Figure("hustlexp_build", ("version", "python")),
            Figure(
                "hustlexp_loop_lag_seconds",
                worry="Its 99th percentile passes 0.1 s: the process has more to do than one core "
                "can",
                alert=Alert(
                    "HustleXPLoopLate",
                    f"{quantile(0.99, 'hustlexp_loop_lag_seconds', '5m')} > 0.1",
                    "5m",
                    "ticket",
                ),
            ),
            Figure(
                "hustlexp_full_collection_seconds",
                worry="Its 99th percentile passes 50 ms: what lives long is not frozen, or much is "
                "made and kept at once",
                alert=Alert(
                    "HustleXPCollectionsLong",
                    f"{quantile(0.99, 'hustlexp_full_collection_seconds', '15m')} > 0.05",
                    "15m",
                    "ticket",
                ),
            ),
            Figure("python_gc_collections", ("generation",)),
            Figure("python_gc_objects_collected", ("generation",)),
            Figure("python_gc_objects_uncollectable", ("generation",)),
            Figure("process_cpu_seconds"),
            Figure("process_resident_memory_bytes"),
            Figure("process_virtual_memory_bytes"),
            Figure(
                "process_start_time_seconds",
                worry="It changes more than twice in a quarter of an hour: the process keeps dying",
                alert=Alert(
                    "HustleXPRestarts", "changes(process_start_time_seconds[15m]) > 2", "0m", "page"
                ),
            ),
            Figure(
                "process_open_fds",
                worry="It nears `process_max_fds`: each socket is one (`LimitNOFILE`)",
                alert=Alert(
                    "HustleXPFilesExhausted",
                    "process_open_fds > 0.8 * process_max_fds",
                    "2m",
                    "page",
                ),
            ),
            Figure("process_max_fds"),
        ),
    ),
)
