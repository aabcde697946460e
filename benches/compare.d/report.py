"""Formats the results, as Markdown for people and as JSON for programs.

This file computes whether targets are met, but does not run anything.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from typing import Dict, List, Optional

from measure import Figure


@dataclass
class Target:
    """One target of the project: a measured value and its limit."""

    text: str
    limit: float
    value: Optional[float]
    unit: str = "×"
    # Whether the limit is a minimum; otherwise it is a maximum.
    at_least: bool = False
    why_missing: str = ""

    @property
    def met(self) -> Optional[bool]:
        """Returns whether it is met, or None if it could not be measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> str:
        """Returns a line of the table of targets."""
        sign = "≥" if self.at_least else "≤"
        if self.value is None:
            value, verdict = "–", f"not measured: {self.why_missing}"
        else:
            value, verdict = f"{self.value:.3g} {self.unit}", "**yes**" if self.met else "**no**"
        return f"| {self.text} | {value} | {sign} {self.limit:g} {self.unit} | {verdict} |"


@dataclass
class Case:
    """One case: its figures, the name of the one that others are compared with, and its targets."""

    name: str
    title: str
    against: str
    figures: List[Figure] = field(default_factory=list)
    targets: List[Target] = field(default_factory=list)
    facts: List[str] = field(default_factory=list)

    def figure(self, name: str) -> Optional[Figure]:
        """Returns the figure with this name, if it was measured."""
        for figure in self.figures:
            if figure.name == name and figure.median is not None:
                return figure
        return None

    def ratio(self, above: str, below: str) -> Optional[float]:
        """Returns the ratio of two medians, if both were measured."""
        upper, lower = self.figure(above), self.figure(below)
        return upper.median / lower.median if upper and lower else None

    def ratio_target(
        self, text: str, limit: float, above: str, below: str, at_least: bool = False
    ) -> None:
        """Adds a target for the ratio of two medians."""
        missing = [name for name in (above, below) if self.figure(name) is None]
        why = "no figure of " + " and ".join(missing)
        self.targets.append(Target(text, limit, self.ratio(above, below), "×", at_least, why))

    def time_target(self, text: str, limit_ms: float, name: str) -> None:
        """Adds a target for a median in milliseconds."""
        found = self.figure(name)
        value = found.median * 1000 if found else None
        self.targets.append(Target(text, limit_ms, value, "ms", False, f"no figure of {name}"))


def milliseconds(seconds: Optional[float]) -> str:
    """Formats a time for a table."""
    if seconds is None:
        return "–"
    value = seconds * 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def case_text(case: Case) -> str:
    """Formats one case as Markdown."""
    lines = [f"## {case.title}", ""]
    lines += [f"| | median ms | fastest ms | slowest ms | runs | × {case.against} | notes |"]
    lines += ["|---|--:|--:|--:|--:|--:|---|"]
    for figure in case.figures:
        ratio = case.ratio(figure.name, case.against)
        notes = list(figure.notes)
        if figure.error:
            # The whole error is shown. A cell of a table must be one line without vertical bars.
            notes.append("**failed**: " + " ⏎ ".join(figure.error.split("\n")).replace("|", "\\|"))
        lines.append(
            f"| {figure.name} | {milliseconds(figure.median)} | {milliseconds(figure.fastest)} "
            f"| {milliseconds(figure.slowest)} | {figure.runs or '–'} "
            f"| {'–' if ratio is None else f'{ratio:.2f}'} | {'; '.join(notes)} |"
        )
    lines += [""] + [f"- {fact}" for fact in case.facts]
    return "\n".join(lines).rstrip() + "\n"


def targets_text(cases: List[Case]) -> str:
    """Formats the table of all targets."""
    lines = ["## Targets", "", "| target | measured | limit | met |", "|---|--:|--:|---|"]
    lines += [target.row() for case in cases for target in case.targets]
    return "\n".join(lines) + "\n"


def machine_text(versions: Dict[str, str], quick: bool) -> str:
    """Describes the machine and the tools of the measurement."""
    lines = ["# taskgate and its peers", ""]
    if quick:
        lines += [
            "**Smoke test with reduced sizes: the targets do not apply to these figures.**",
            "",
        ]
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    idle = "" if load < cores / 4 else ": **the machine was not idle**"
    lines += [f"{platform.system()} {platform.release()} {platform.machine()}, {cores} cores,"]
    lines += [f"load {load:.1f} at the start{idle}.", ""]
    lines += [f"- {name}: {version}" for name, version in versions.items()]
    return "\n".join(lines) + "\n"


def as_data(cases: List[Case], versions: Dict[str, str], quick: bool) -> dict:
    """Returns all values for `--json`. Times are in seconds."""
    return {
        "format": 1,
        "quick": quick,
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "versions": versions,
        "cases": [
            {
                "name": case.name,
                "title": case.title,
                "against": case.against,
                "figures": [asdict(figure) for figure in case.figures],
                "targets": [dict(asdict(t), met=t.met) for t in case.targets],
                "facts": case.facts,
            }
            for case in cases
        ],
    }
