"""Metrics of the invariants: the verifications of every derived fact."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge


class InvariantMetrics:
    """Recorder of `engine.admin.invariant_verifier`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks: set[str] = set()
        self._disagreements = Gauge(
            "hustlexp_invariant_disagreements",
            "Rows that disagreed with a derived fact at the last verification, by check.",
            ["check"],
            registry=registry,
        )
        self._verified_seconds = Gauge(
            "hustlexp_verified_timestamp_seconds",
            "When the last verification of all derived facts began (Unix time).",
            registry=registry,
        )
        self._verify_interval_seconds = Gauge(
            "hustlexp_verify_interval_seconds",
            "How often all derived facts are verified (HX_VERIFY_S); 0 never.",
            registry=registry,
        )

    def invariant(self, check: str, disagreements: int) -> None:
        """Sets the disagreements that one check of a verification found."""
        self._checks.add(check)
        self._disagreements.labels(check).set(disagreements)

    def verified_by_any(self, at_s: float, disagreements: Mapping[str, int]) -> None:
        """Sets what the last verification of all processes found, and when it began (Unix time)."""
        for check in self._checks | disagreements.keys():
            self.invariant(check, disagreements.get(check, 0))
        self._verified_seconds.set(at_s)

    def interval(self, seconds: float) -> None:
        """Sets the interval of the verifications in seconds; 0 for never."""
        self._verify_interval_seconds.set(seconds)
