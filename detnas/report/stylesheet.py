"""The stylesheet of the report page: system fonts, light or dark by the reader's setting."""

from detnas.report.style import DARK, LIGHT, Theme, ink_on
from search_space.choices import CHOICES


def stylesheet() -> str:
    """The CSS, with the colours of the themes and of the block choices."""
    chips = "\n".join(
        f".{choice.name} {{ background: {choice.colour}; color: {ink_on(choice.colour)}; }}"
        for choice in CHOICES.values()
    )
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}"
    return f":root {{ {_variables(LIGHT)} }}\n{dark}\n{_RULES}\n{chips}\n"


def _variables(theme: Theme) -> str:
    names = ("paper", "panel", "ink", "muted", "line", "accent", "alarm")
    return " ".join(f"--{name}: {getattr(theme, name)};" for name in names)


_RULES = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 64rem; padding: 3rem 1.5rem 5rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 0.4rem; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; margin: 3.2rem 0 0.8rem; }
p { margin: 0.5rem 0; max-width: 44rem; }
.muted, figcaption { color: var(--muted); }
.note { border-left: 3px solid var(--accent); padding-left: 0.9rem; }
.alarm { color: var(--alarm); }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr));
  gap: 0.75rem; margin: 2rem 0 0; padding: 0;
}
.figures div { background: var(--panel); border-radius: 0.6rem; padding: 0.9rem 1.1rem; }
.figures dt { color: var(--muted); font-size: 0.85rem; }
.figures dd {
  margin: 0.1rem 0 0; font-size: 1.45rem; font-weight: 650; letter-spacing: -0.01em;
  font-variant-numeric: tabular-nums;
}
.figures div:first-child dd { color: var(--accent); }
figure { margin: 1rem 0; }
img { display: block; width: 100%; height: auto; }
figcaption { font-size: 0.88rem; margin-top: 0.5rem; max-width: 44rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 0.4rem 1.2rem 0.4rem 0; text-align: right; white-space: nowrap; }
th { color: var(--muted); font-weight: 500; border-bottom: 1px solid var(--line); }
td { border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
.text { text-align: left; }
.long { white-space: normal; overflow-wrap: anywhere; }
.best td { font-weight: 650; }
.chips { display: inline-flex; gap: 0.5rem; }
.chips > span { display: inline-flex; gap: 2px; }
.chips i {
  width: 1.15rem; border-radius: 3px; text-align: center; line-height: 1.3rem;
  font: 600 0.7rem/1.3rem ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
.legend .chips { align-items: center; white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.3rem; font-size: 0.85rem; }
code { font: 0.85rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""
