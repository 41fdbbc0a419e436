"""Reports of runs: a page for people, and a table that sets services side by side."""

from collections.abc import Sequence
from html import escape

from dicomweb_conformance.levels import Level
from dicomweb_conformance.outcomes import Outcome, Result, Run

_SIGNS = {Result.MET: "yes", Result.NOT_MET: "**no**", Result.NOT_SUPPORTED: "not supported"}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
td:first-child, td:nth-child(3) { white-space: nowrap; }
.not-met { color: #b3261e; font-weight: 600; }
.met { color: #1b7f3b; }
@media (prefers-color-scheme: dark) { .not-met { color: #ff8a80; } .met { color: #7ddc9a; } }
small { opacity: .8; }
"""


def page(run: Run) -> str:
    """Return the HTML page of a run."""
    rows = "\n".join(_row(each) for each in sorted(run.outcomes, key=lambda each: each.order))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>DICOMweb conformance of {escape(run.service)}</title>"
        f"<style>{_STYLE}</style></head>\n"
        f"<body><h1>DICOMweb conformance</h1>\n"
        f"<p>{escape(run.service)}, {escape(run.time)}; PS3.18 {escape(run.edition)}</p>\n"
        f"{_summary(run)}\n<table><thead><tr><th>Section</th><th>Requirement</th><th>Level</th>"
        f"<th>Result</th></tr></thead><tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


def _summary(run: Run) -> str:
    counts = "".join(
        f"<tr><th>{level}</th>"
        + "".join(f"<td>{run.count(result, level)}</td>" for result in Result)
        + "</tr>"
        for level in Level
    )
    head = "".join(f"<th>{result}</th>" for result in Result)
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{counts}</tbody></table>"


def _row(outcome: Outcome) -> str:
    case = f" <code>{escape(outcome.case)}</code>" if outcome.case else ""
    detail = f"<br><small>{escape(outcome.detail)}</small>" if outcome.detail else ""
    style = outcome.result.value.replace(" ", "-")
    return (
        f"<tr><td>{escape(outcome.section)}</td><td>{escape(outcome.requirement)}{case}{detail}</td>"
        f'<td>{outcome.level}</td><td class="{style}">{outcome.result}</td></tr>'
    )


def text(run: Run) -> str:
    """Return the summary for a terminal: counts, and what is not met with the reason."""
    lines = [
        f"{level.value:<12} {run.count(Result.MET, level):>4} met, "
        f"{run.count(Result.NOT_MET, level)} not met, "
        f"{run.count(Result.NOT_SUPPORTED, level)} not supported"
        for level in Level
    ]
    for each in run.unmet(Level):
        case = f" [{each.case}]" if each.case else ""
        lines += ["", f"{each.section} {each.requirement}{case} ({each.level})"]
        lines += [f"    {each.detail}"] if each.detail else []
    return "\n".join(lines)


def table(runs: dict[str, Run]) -> str:
    """Return a Markdown table of several runs, by the names of the services."""
    found: dict[tuple[str, str, str], dict[str, Outcome]] = {}
    for name, run in runs.items():
        for each in run.outcomes:
            found.setdefault(each.identity, {})[name] = each
    ordered = sorted(found.values(), key=lambda each: next(iter(each.values())).order)
    lines = [
        f"| PS3.18 | requirement | level | {' | '.join(runs)} |",
        f"|---|---|---|{'---|' * len(runs)}",
        *(_line(outcomes, list(runs)) for outcomes in ordered),
        f"| | **met of {len(ordered)}** | | "
        + " | ".join(f"**{run.count(Result.MET)}**" for run in runs.values())
        + " |",
    ]
    return "\n".join(lines)


def _line(outcomes: dict[str, Outcome], names: Sequence[str]) -> str:
    first = next(iter(outcomes.values()))
    case = f" `{first.case}`" if first.case else ""
    requirement = (first.requirement + case).replace("|", "\\|")
    signs = (_SIGNS[outcomes[name].result] if name in outcomes else "" for name in names)
    return f"| {first.section} | {requirement} | {first.level} | {' | '.join(signs)} |"
