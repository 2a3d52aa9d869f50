"""The summary of a run: counts, spreads of latencies and the balance, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import quantiles

from msgspec import Struct

from bench.simulator.city import City
from bench.simulator.money_check import Money
from bench.simulator.run_log import RunLog, TaskTrace


class Spread(Struct, frozen=True):
    """Median, 95th percentile and number of measurements, in seconds."""

    median_s: float
    p95_s: float
    count: int

    def __str__(self) -> str:
        """Returns the figures for people, in milliseconds where they are small."""
        return f"median {_duration(self.median_s)}, p95 {_duration(self.p95_s)} (n={self.count})"


class Tasks(Struct, frozen=True):
    """Counts of tasks by progress; `waited` had no free hustler within 3 miles at first."""

    posted: int
    funded: int
    accepted: int
    paid: int
    nobody_came: int
    cancelled: int
    under_way: int
    waited: int
    raised: int
    rejected: int
    disputed: int


class Fixes(Struct, frozen=True):
    """Counts of recorded positions; `lost` were due while the connection was away."""

    read: int
    junk_lines: int
    sent: int
    lost: int
    refused: dict[str, int]


class Summary(Struct, frozen=True):
    """All figures of a run as its clients saw it."""

    crowd: str
    seed: int
    speed: float
    seconds: float
    hustlers: int
    posters: int
    tasks: Tasks
    money: Money | None
    cards: int
    answers: dict[str, int]
    time_to_accept: Spread | None
    human: Spread | None
    funded_to_card: Spread | None
    accept_to_notified: Spread | None
    fixes: Fixes | None
    reconnects: int
    gaps: int
    duplicates: int
    resyncs: int
    refusals: dict[str, int]


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def spread(values: Iterable[float | None]) -> Spread | None:
    """Returns the spread of what was measured; None when nothing was."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    if len(known) == 1:
        return Spread(known[0], known[0], 1)
    cuts = quantiles(known, n=20, method="inclusive")
    return Spread(cuts[9], cuts[18], len(known))


def times(
    run_log: RunLog, measure: Callable[[TaskTrace], float | None], *, in_reach: bool
) -> Spread | None:
    """Returns a measure's spread over all tasks, or those with a free hustler in reach at once."""
    task_traces = run_log.task_traces.values()
    return spread(measure(trace) for trace in task_traces if trace.in_reach or not in_reach)


def summarise(city: City, recorded: tuple[int, int] | None, money: Money | None = None) -> Summary:
    """Returns the figures of a run; `recorded` is (fixes read, junk lines) of a replay."""
    run_log, counts = city.run_log, city.run_log.counts
    sessions = [session.counts for session in city.sessions()]
    return Summary(
        crowd=city.crowd.name,
        seed=city.setting.seed,
        speed=city.setting.speed,
        seconds=round(run_log.elapsed_s(), 1),
        hustlers=len(city.people),
        posters=len(city.posters),
        tasks=_tasks(list(run_log.task_traces.values())),
        money=money,
        cards=counts["card"],
        answers={word: counts[word] for word in OUTCOMES if counts[word]},
        time_to_accept=times(run_log, lambda trace: trace.time_to_accept_s, in_reach=False),
        human=times(run_log, lambda trace: trace.time_to_decide_s, in_reach=False),
        funded_to_card=times(run_log, lambda trace: trace.time_to_card_s, in_reach=True),
        accept_to_notified=times(run_log, lambda trace: trace.time_to_notify_s, in_reach=False),
        fixes=None if recorded is None else _fixes(run_log, *recorded),
        reconnects=sum(counts.reconnects for counts in sessions),
        gaps=sum(counts.gaps for counts in sessions),
        duplicates=sum(counts.duplicates for counts in sessions),
        resyncs=sum(counts.resyncs for counts in sessions),
        refusals=dict(run_log.refusals.most_common()),
    )


OUTCOMES = ("won", "taken", "expired", "declined", "skipped")


def _tasks(task_traces: list[TaskTrace]) -> Tasks:
    def count(holds: Callable[[TaskTrace], bool]) -> int:
        return sum(holds(trace) for trace in task_traces)

    return Tasks(
        posted=len(task_traces),
        funded=count(lambda trace: trace.funded_at is not None),
        accepted=count(lambda trace: trace.accepted_at is not None),
        paid=count(lambda trace: trace.paid_at is not None),
        nobody_came=count(lambda trace: trace.nobody_came),
        cancelled=count(lambda trace: trace.state == "CANCELLED" and not trace.nobody_came),
        under_way=count(lambda trace: trace.ended_at is None),
        waited=count(lambda trace: not trace.in_reach),
        raised=count(lambda trace: trace.raised),
        rejected=count(lambda trace: trace.rejected),
        disputed=count(lambda trace: trace.disputed),
    )


def _fixes(run_log: RunLog, read: int, junk_lines: int) -> Fixes:
    return Fixes(
        read=read,
        junk_lines=junk_lines,
        sent=run_log.counts["fix"],
        lost=run_log.counts["fix_lost"],
        refused=dict(run_log.fixes_refused.most_common()),
    )


def text(summary: Summary) -> str:
    """Returns the summary for people."""
    tasks = summary.tasks
    lines = [
        (
            f"{summary.crowd}, seed {summary.seed}, {summary.seconds:g} s at {summary.speed:g}x life: "
            f"{summary.hustlers} hustlers, {summary.posters} posters"
        ),
        (
            f"tasks    posted {tasks.posted}, funded {tasks.funded}, accepted {tasks.accepted}, "
            f"paid {tasks.paid}, nobody came {tasks.nobody_came}, cancelled {tasks.cancelled}, "
            f"under way {tasks.under_way}"
        ),
        (
            f"         price raised {tasks.raised}, proof turned down {tasks.rejected}, "
            f"disputed {tasks.disputed}"
        ),
        f"money    {summary.money or 'not counted: the service was gone'}",
        f"offers   {summary.cards} cards; answers: "
        + (", ".join(f"{word} {n}" for word, n in summary.answers.items()) or "none"),
        f"time to accept   {summary.time_to_accept or 'nothing accepted'}",
        f"  people         {summary.human or '-'} (at {summary.speed:g}x life)",
        f"  machinery      funded → first card {summary.funded_to_card or '-'}",
        f"                 accept → both notified {summary.accept_to_notified or '-'}",
        f"  {tasks.waited} tasks first waited for somebody to come into reach",
        (
            f"sessions reconnects {summary.reconnects}, gaps {summary.gaps}, "
            f"duplicates dropped {summary.duplicates}, resyncs {summary.resyncs}"
        ),
    ]
    if summary.fixes is not None:
        fixes = summary.fixes
        lines.append(
            f"fixes    read {fixes.read} ({fixes.junk_lines} junk lines), sent {fixes.sent}, "
            f"lost while away {fixes.lost}, refused {sum(fixes.refused.values())}"
        )
        lines += [f"  {n:6} {reason}" for reason, n in fixes.refused.items()]
    if summary.refusals:
        lines.append("refused  by the service, besides fixes:")
        lines += [f"  {n:6} {what}" for what, n in summary.refusals.items()]
    return "\n".join(lines)
