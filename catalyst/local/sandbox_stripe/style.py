"""The card page's style sheet: logical properties only, light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e8eaed); --paper: light-dark(#fff, #15181c);
  --line: light-dark(#d0d5dc, #3a414a); --accent: light-dark(#0b5fce, #7db4ff); --on-accent: light-dark(#fff, #10151b);
  --warn: light-dark(#fff3d6, #3d3010); --bad: light-dark(#a3122b, #ff9aa8); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, "Noto Sans Arabic", sans-serif; }
header { background: var(--warn); padding-block: .75rem; padding-inline: 1rem; text-align: center; }
main { max-inline-size: 36rem; margin-inline: auto; padding: 1rem; }
nav { text-align: end; }
h1 { font-size: 1.5rem; }
a { color: var(--accent); }
table { inline-size: 100%; border-collapse: collapse; }
th, td { padding-block: .5rem; border-block-end: 1px solid var(--line); text-align: start; font-weight: normal; }
thead th, .due th, .due td { font-weight: 600; }
.amount { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th:last-child { text-align: end; }
small { opacity: .8; }
form { display: grid; gap: .75rem; margin-block-start: 1.5rem; }
button { font: inherit; min-block-size: 2.75rem; padding-inline: 1rem; border: 1px solid var(--line);
  border-radius: .5rem; background: transparent; color: inherit; cursor: pointer; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.alert { border-inline-start: 4px solid var(--bad); padding-inline-start: .75rem; color: var(--bad); }
"""
