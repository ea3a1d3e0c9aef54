"""How a variant is measured and judged: statistics, costs of a graph, sessions, verdicts. No build needs it."""
