"""Generates documentation, dashboard and alert rules from `gateway.metrics.figures`.

`python -m gateway.metrics.monitoring` writes the tables of docs/operations.md, the Grafana dashboard and the
alert rules anew; a test fails where they are not what it would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from prometheus_client import Metric

from gateway.metrics.figures import DOWN, SECTIONS, Alert, Figure, quantile
from gateway.metrics.metrics import Metrics

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "operations.md"
DASHBOARD: Final = ROOT / "deploy" / "monitoring" / "dashboard.json"
ALERTS: Final = ROOT / "deploy" / "monitoring" / "alerts.yaml"
BEGIN: Final = "<!-- drawn by python -m gateway.metrics.monitoring: {} -->\n"
END: Final = "<!-- end -->\n"
PANEL_WIDTH, PANEL_HEIGHT, PANELS_A_ROW = 8, 7, 3

Families = Mapping[str, Metric]


def families() -> dict[str, Metric]:
    """Returns every metric family of a process, by its name in the registry."""
    return {family.name: family for family in Metrics().registry.collect()}


def exposed(family: Metric) -> str:
    """Returns a family's name on /metrics: a counter ends in `_total`, an info in `_info`."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


# ── docs/operations.md ───────────────────────────────────────────────────────────────────────────


def watch_table(known: Families) -> str:
    """Returns the Markdown table of the families with alerts."""
    lines = ["| Metric | Worry when | Alert |", "|---|---|---|"]
    for figure in _figures():
        if figure.worry:
            alert = f"{figure.alert.name}, {figure.alert.severity}" if figure.alert else "–"
            lines.append(f"| `{exposed(known[figure.family])}` | {figure.worry} | {alert} |")
    return "\n".join(lines) + "\n"


def family_tables(known: Families) -> str:
    """Returns the Markdown tables of every family, by section."""
    lines = []
    for section in SECTIONS:
        lines += [
            f"### {section.title}",
            "",
            "| Metric | Kind | Labels | Means |",
            "|---|---|---|---|",
        ]
        for figure in section.figures:
            family = known[figure.family]
            labels = ", ".join(figure.labels) or "–"
            means = family.documentation.rstrip(".")
            lines.append(f"| `{exposed(family)}` | {_kind(family)} | {labels} | {means} |")
        lines.append("")
    return "\n".join(lines)


def _kind(family: Metric) -> str:
    return "gauge" if family.type == "info" else family.type


def page_with(page: str, known: Families) -> str:
    """Returns the documentation page with its generated parts replaced."""
    for name, table in (("watch", watch_table(known)), ("figures", family_tables(known))):
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        page = f"{before}{begin}{table}{end}{after}"
    return page


# ── Prometheus ───────────────────────────────────────────────────────────────────────────────────


def alerts(known: Families) -> str:
    """Returns a file of Prometheus alert rules; each text is a JSON string, also valid YAML."""
    lines = [
        "# Drawn by `python -m gateway.metrics.monitoring` from gateway/metrics/figures.py.",
        "groups:",
        "  - name: hustlexp",
        "    rules:",
    ]
    lines += _rule(DOWN, "Nobody answers the scrape of /metrics")
    for figure in _figures():
        if figure.alert:
            lines += _rule(figure.alert, f"{exposed(known[figure.family])}: {figure.worry}")
    return "\n".join(lines) + "\n"


def _rule(alert: Alert, summary: str) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield f"        expr: {_text(alert.expr)}"
    yield f"        for: {alert.holds}"
    yield f"        labels: {{severity: {alert.severity}}}"
    yield f"        annotations: {{summary: {_text(summary.replace('`', ''))}}}"


def _text(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


# ── Grafana ──────────────────────────────────────────────────────────────────────────────────────


def dashboard(known: Families) -> str:
    """Returns a Grafana dashboard: one panel for each family, one row for each section."""
    panels: list[dict[str, Any]] = []
    y = 0
    for section in SECTIONS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": section.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            }
        )
        y += 1
        for number, figure in enumerate(section.figures):
            line, column = divmod(number, PANELS_A_ROW)
            place = {
                "h": PANEL_HEIGHT,
                "w": PANEL_WIDTH,
                "x": PANEL_WIDTH * column,
                "y": y + PANEL_HEIGHT * line,
            }
            panels.append(_panel(len(panels) + 1, figure, known[figure.family], place))
        y += PANEL_HEIGHT * -(-len(section.figures) // PANELS_A_ROW)
    board = {
        "uid": "hustlexp-live",
        "title": "HustleXP Live",
        "tags": ["hustlexp"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": panels,
    }
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


def _panel(number: int, figure: Figure, family: Metric, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": exposed(family),
        "description": family.documentation + (f" Worry: {figure.worry}." if figure.worry else ""),
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": _unit(family), "min": 0}, "overrides": []},
        "targets": [
            {"refId": reference, "expr": expr, "legendFormat": legend}
            for reference, (expr, legend) in zip("ABC", _queries(figure, family), strict=False)
        ],
    }


def _unit(family: Metric) -> str:
    if family.name.endswith(("timestamp_seconds", "start_time_seconds")):
        return "s"  # shown as an age
    if family.type == "counter":
        return "percentunit" if family.name == "process_cpu_seconds" else "cps"
    if family.name.endswith("_seconds"):
        return "s"
    return "bytes" if family.name.endswith("_bytes") else "short"


def _queries(figure: Figure, family: Metric) -> Iterator[tuple[str, str]]:
    name = exposed(family)
    by = ", ".join(figure.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in figure.labels) or "{{instance}}"
    if family.type == "histogram":
        for share in (0.5, 0.99):
            yield (quantile(share, name, "$__rate_interval"), f"{share:.0%}")
        yield (f"sum(rate({name}_sum[5m])) / sum(rate({name}_count[5m]))", "mean")
    elif family.type == "counter":
        yield (f"sum by ({by or 'instance'}) (rate({name}[$__rate_interval]))", legend)
    elif family.name.endswith(("timestamp_seconds", "start_time_seconds")):
        yield (f"time() - {name}", legend)
    else:
        yield (name, legend)


def _figures() -> Iterator[Figure]:
    for section in SECTIONS:
        yield from section.figures


def drawings() -> dict[Path, str]:
    """Returns the generated files, each with the content it should have."""
    known = families()
    page = PAGE.read_text(encoding="utf-8")
    return {PAGE: page_with(page, known), DASHBOARD: dashboard(known), ALERTS: alerts(known)}


if __name__ == "__main__":
    for path, text in drawings().items():
        path.write_text(text, encoding="utf-8")
