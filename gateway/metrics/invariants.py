"""Metrics of the invariants: the verifications of every derived fact."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class InvariantMetrics:
    """Recorder of `engine.admin.invariant_verifier`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._disagreements = Gauge(
            "hustlexp_invariant_disagreements",
            "Rows that disagreed with a derived fact at the last verification, by check.",
            ["check"],
            registry=registry,
        )
        self._verified_seconds = Gauge(
            "hustlexp_verified_timestamp_seconds",
            "When the last verification of all derived facts ended (Unix time).",
            registry=registry,
        )
        self._verify_interval_seconds = Gauge(
            "hustlexp_verify_interval_seconds",
            "How often all derived facts are verified (HX_VERIFY_S); 0 never.",
            registry=registry,
        )

    def invariant(self, check: str, disagreements: int) -> None:
        """Sets the disagreements that one check of a verification found."""
        self._disagreements.labels(check).set(disagreements)

    def verified(self) -> None:
        """Records the end of a verification."""
        self._verified_seconds.set_to_current_time()

    def interval(self, seconds: float) -> None:
        """Sets the interval of the verifications in seconds; 0 for never."""
        self._verify_interval_seconds.set(seconds)
