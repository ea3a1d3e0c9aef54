"""What the check of the data found: artifacts/data/validation.json, and the same as a page for people."""

from __future__ import annotations

from html import escape

from tasks.core.frozen import Frozen


class Rule(Frozen):
    """One rule: a sentence, what was found, what is allowed, and the Great Expectations check that decided it."""

    rule: str
    observed: str
    allowed: str
    ok: bool
    expectation: str


class Validation(Frozen):
    """artifacts/data/validation.json: every rule that was checked, and how many rows each split has."""

    rows: dict[str, int]
    rules: tuple[Rule, ...]

    @property
    def broken(self) -> tuple[Rule, ...]:
        """The rules that do not hold."""
        return tuple(r for r in self.rules if not r.ok)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.broken:
            return f"{len(self.broken)} of {len(self.rules)} rules do not hold"
        return f"All {len(self.rules)} rules hold"

    def complaint(self) -> str:
        """The rules that do not hold, one a line."""
        lines = (f"  - {r.rule}: found {r.observed}; allowed: {r.allowed}" for r in self.broken)
        return "\n".join((f"data: {self.verdict} (params/expectations.yaml); nothing was written", *lines))


STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --paper: #fcfcfd;
        --good: #18794e; --bad: #c62a2f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --soft: #b0b4ba; --line: #363a3f; --paper: #111113; --good: #3dd68c; --bad: #ff9592; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td:first-child { white-space: nowrap; }
td:nth-child(2) { min-width: 11rem; } td:nth-child(3) { min-width: 7rem; }
code { font-size: .85em; color: var(--soft); }
"""


def page(validation: Validation) -> str:
    """The whole result as one HTML page that needs nothing else; equal results give equal bytes."""
    rows = ", ".join(f"{name} {count:,}" for name, count in validation.rows.items())
    # What does not hold comes first: that is what the reader came for.
    ordered = (*validation.broken, *(r for r in validation.rules if r.ok))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data: {escape(validation.verdict)}</title><style>{STYLE}</style></head><body>
<h1 class="{"bad" if validation.broken else "good"}">{escape(validation.verdict)}</h1>
<p class="soft">Rows: {escape(rows)}. The rules stand in params/expectations.yaml; Great Expectations checked them
before anything was written.</p>
<div class="wide"><table><thead><tr><th scope="col">Holds</th><th scope="col">Rule</th><th scope="col">Found</th>
<th scope="col">Allowed</th><th scope="col">Expectation</th></tr></thead><tbody>
{"".join(_line(r) for r in ordered)}</tbody></table></div>
</body></html>
"""


def _line(rule: Rule) -> str:
    holds = '<td class="good">yes</td>' if rule.ok else '<td class="bad">no</td>'
    texts = "".join(f"<td>{escape(t)}</td>" for t in (rule.rule, rule.observed, rule.allowed))
    return f"<tr>{holds}{texts}<td><code>{escape(rule.expectation)}</code></td></tr>\n"
