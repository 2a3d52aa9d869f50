"""What must hold: the verifications of every derived fact."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class InvariantMetrics:
    """The recorder of `engine.admin.invariant_verifier`."""

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
        """What one check of a verification found."""
        self._disagreements.labels(check).set(disagreements)

    def verified(self) -> None:
        """A verification has ended."""
        self._verified_seconds.set_to_current_time()

    def interval(self, seconds: float) -> None:
        """How often the service verifies; 0 never."""
        self._verify_interval_seconds.set(seconds)
