"""What a process does: everything, or one part of it beside others."""

from __future__ import annotations

from enum import StrEnum

from broadcast.slots import Runs


class ProcessRole(StrEnum):
    """The part of a process; several processes of each may run on one database."""

    ALL = "all"
    GATEWAY = "gateway"
    """Sockets and requests."""
    BROADCASTER = "broadcaster"
    """The running broadcasts, a share of them where there are several broadcasters."""
    WORKER = "worker"
    """Settlements, timers, reconciliation, and whatever else goes on by itself."""

    @property
    def serves(self) -> bool:
        """Whether it answers requests and keeps sockets."""
        return self in (ProcessRole.ALL, ProcessRole.GATEWAY)

    @property
    def works(self) -> bool:
        """Whether it does background work."""
        return self in (ProcessRole.ALL, ProcessRole.WORKER)

    @property
    def broadcasts(self) -> Runs:
        """Which of the running broadcasts it runs."""
        return "SHARE" if self in (ProcessRole.ALL, ProcessRole.BROADCASTER) else "NONE"
