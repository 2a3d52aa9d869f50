"""One table of figures: registry, page, dashboard and alerts say the same."""

from __future__ import annotations

import json
import re

import pytest
import yaml  # type: ignore[import-untyped]  # comes with sqlfluff
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import monitoring
from gateway.metrics.figures import DOWN, SECTIONS
from gateway.metrics.metrics import Metrics

FIGURES = [figure for section in SECTIONS for figure in section.figures]
EXPOSED = re.compile(r"\b(?:hustlexp|process|python)_\w+")
SUFFIXES = ("_bucket", "_sum", "_count")


def exposed_names() -> set[str]:
    """What a scrape reads, without the parts of histograms."""
    names = set()
    for line in Metrics().page().decode().splitlines():
        if line.startswith("# TYPE"):
            names.add(line.split()[2])
    return names


def named_in(expression: str) -> set[str]:
    """The families an expression asks for."""
    return {
        next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
        for name in EXPOSED.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expression))
    }


def test_every_family_is_in_the_table_once_and_nothing_else_is() -> None:
    """A new metric needs its line in gateway/metrics/figures.py."""
    assert sorted(figure.family for figure in FIGURES) == sorted(monitoring.families())


def test_the_table_names_the_labels_of_the_registry() -> None:
    """Declared ones in their order; those of prometheus-client's own families as they are sampled."""
    registry = Metrics().registry
    for figure in FIGURES:
        collector = registry._names_to_collectors.get(figure.family)
        labels = set(getattr(collector, "_labelnames", ())) - {""}
        for sample in monitoring.families()[figure.family].samples:
            labels |= sample.labels.keys() - {"le"}
        assert labels == set(figure.labels), figure.family


@pytest.mark.parametrize("path", monitoring.drawings(), ids=lambda path: path.name)
def test_what_is_drawn_is_up_to_date(path: object) -> None:
    """`python -m gateway.metrics.monitoring` draws the three anew."""
    for drawn, text in monitoring.drawings().items():
        if drawn == path:
            assert drawn.read_text() == text


def test_the_page_lists_every_exposed_family() -> None:
    """By the name that a scrape shows."""
    listed = re.findall(
        r"^\| `(\w+)` \| (?:counter|gauge|histogram) \|", monitoring.PAGE.read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(exposed_names())


def test_the_dashboard_has_a_panel_for_each_family() -> None:
    """Whose queries ask for that family; no two panels overlap or share an id."""
    board = json.loads(monitoring.DASHBOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    for panel in panels:
        assert panel["description"]
        for target in panel["targets"]:
            assert named_in(target["expr"]) == {panel["title"]}
    assert {panel["title"] for panel in panels} == exposed_names()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)


def test_alert_rules_ask_only_for_families_that_exist() -> None:
    """Each with a sentence, and none twice; a worry of the page has its alert."""
    (group,) = yaml.safe_load(monitoring.ALERTS.read_text())["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    assert len(rules) == len(group["rules"])
    for rule in rules.values():
        assert named_in(rule["annotations"]["summary"]) <= exposed_names()
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert named_in(rule["expr"]) <= exposed_names()
    alerts = {figure.alert.name for figure in FIGURES if figure.alert}
    assert rules.keys() == alerts | {DOWN.name}
    assert all(bool(figure.worry) == bool(figure.alert) for figure in FIGURES)


def test_an_empty_registry_shows_the_series_that_alerts_watch_grow() -> None:
    """Prometheus sees no increase in a series that was not there before."""
    page = Metrics().page().decode()
    zeros = {
        (sample.name, *sorted(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert ("hustlexp_away_total", ("part", "valkey")) in zeros
    assert any(
        name == "hustlexp_refusals_total" and ("code", "INTERNAL_ERROR") in labels
        for name, *labels in zeros
    )
