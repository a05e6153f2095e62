"""How a report looks: one column for reading, light or dark as the reader's system is, narrow screens included.

Figures are drawn on white; on a dark screen their lightness is turned round and their hues are kept, which makes white
the dark page's own grey.
"""

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c1c1e; --faint: #66666d; --rule: #dedee0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #171717; --ink: #e4e4e2; --faint: #9d9da5; --rule: #38383d; }
  figure img { filter: invert(.91) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; padding: 3.5rem 1.25rem 5rem; max-width: 43.5rem; background: var(--page); color: var(--ink);
  font: 17px/1.6 Charter, "Bitstream Charter", "Iowan Old Style", "Source Serif 4", Georgia, "DejaVu Serif", serif;
  overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; font-weight: 600; text-wrap: balance; }
h1 { margin: 0 0 .9rem; font-size: 1.9rem; letter-spacing: -.01em; }
h2 { margin: 3.25rem 0 1rem; font-size: 1.3rem; }
h3 { margin: 2.25rem 0 .75rem; font-size: 1.02rem; }
p { margin: 0 0 1rem; }
.kind, table, dl, figcaption, .facts, .scale, .gap, summary, .note
  { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.kind { margin: 0 0 .5rem; font-size: .8rem; letter-spacing: .04em; color: var(--faint); }
.lead { font-size: 1.12rem; }
.note { font-size: .84rem; line-height: 1.5; color: var(--faint); }
.scroll { overflow-x: auto; margin: 0 0 1.25rem; }
table { width: 100%; border-collapse: collapse; font-size: .84rem; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums; border-top: 1.5px solid var(--ink);
  border-bottom: 1.5px solid var(--ink); }
th, td { padding: .34rem .2rem .34rem .9rem; text-align: right; font-weight: 400; vertical-align: baseline; }
th:first-child { padding-left: .1rem; text-align: left; }
tbody th { min-width: 7rem; overflow-wrap: anywhere; }
thead th { color: var(--faint); border-bottom: 1px solid var(--rule); vertical-align: bottom; }
.part th { padding-top: .8rem; font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .3rem 1.25rem; margin: 0 0 1.25rem;
  font-size: .84rem; line-height: 1.45; }
dt { color: var(--faint); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0 2.5rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto .7rem; }
figcaption { font-size: .84rem; line-height: 1.5; color: var(--faint); }
figcaption b { color: var(--ink); font-weight: 600; }
details { margin-top: .6rem; }
summary { font-size: .84rem; color: var(--faint); cursor: pointer; }
details[open] summary { margin-bottom: .6rem; }
article { margin: 0 0 1.5rem; }
.text { padding: .1rem 0; font-size: .95rem; line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; }
.text span { padding: .16em 0; color: #18181b; }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: .3rem 0 0; font-size: .8rem; color: var(--faint); }
.facts b { color: var(--ink); font-weight: 500; }
.facts i { color: #b3400a; }
.gap { margin: .5rem 0; font-size: .8rem; color: var(--faint); }
.scale { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .75em; margin: 0 0 1.5rem; font-size: .8rem;
  color: var(--faint); }
.scale .bar { flex: 0 1 12em; min-width: 5em; height: .9em; border-radius: .2em; }
.scale .neuron { margin-right: auto; }
@media (prefers-color-scheme: dark) { .facts i { color: #f0955c; } }
@media (max-width: 32rem) {
  body { padding: 1.75rem 1rem 3rem; font-size: 16px; }
  h1 { font-size: 1.5rem; }
  h2 { margin-top: 2.5rem; }
  th, td { padding-left: .6rem; }
  .scale .neuron { flex: 0 0 100%; }
}
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""
