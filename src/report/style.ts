import { BAR, GRID, INK, MUTED, PAGE, PAPER, SERIES, SERIES_DARK } from './theme.js';

/** The drawings have the colours of a light page; on a dark one these stand in for them. */
const DARK = {
  [INK]: '#e8eaed',
  [MUTED]: '#a3abb5',
  [GRID]: '#363b42',
  [PAGE]: '#16181b',
  [BAR]: '#3f6f9c',
  [PAPER]: '#ff9f57',
};

const swap = ([light, dark]: readonly [string, string]) =>
  `.plot [fill="${light}"]{fill:${dark}}.plot [stroke="${light}"]{stroke:${dark}}`;

/** The look of the report: of a page, on paper, on a phone, by day and by night. */
export const STYLE = `
:root{color-scheme:light dark;--ink:${INK};--muted:${MUTED};--line:${GRID};--page:${PAGE};--paper:${PAPER};--soft:#f5f7f9}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:clamp(1.5rem,4.2vw,2.3rem);line-height:1.2;margin:.2em 0 .6em;text-wrap:balance}
h2{font-size:1.35rem;margin:0 0 .4rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
section{margin-top:3rem;padding-top:1.5rem;border-top:1px solid var(--line)}
p{max-width:46rem;margin:.4rem 0 1rem}
.quiet,figcaption,dt,.theirs,small{color:var(--muted)}
.eyebrow{font-size:.85rem;margin:0}
.lead{font-size:1.08rem}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
.legend{font-size:.88rem;margin:1rem 0 0}
th,td{padding:.45rem .8rem .45rem 0;text-align:left;vertical-align:top;white-space:nowrap;border-bottom:1px solid var(--line)}
.figures th:not(:first-child),.figures td{text-align:right;padding:.45rem 0 .45rem 1.1rem}
.figures tr>:first-child{position:sticky;left:0;background:var(--page)}
.source{font-size:.85rem}
thead>tr>*{border-bottom:2px solid var(--line)}
tbody th{font-weight:600}
.theirs{display:block;font-size:.85em;font-weight:400}
.best .ours{font-weight:700}
small{font-size:.85em;font-weight:400}
.plot svg{display:block;max-width:100%;min-width:38rem;height:auto}
.specimens{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1.8rem 1.5rem;margin:1.5rem 0}
.specimen{margin:0;break-inside:avoid}
.specimen h3{margin:0 0 .4rem}
.specimen h3 span{font-weight:400;color:var(--muted)}
.images{display:grid;grid-template-columns:repeat(3,1fr);gap:.5rem;font-size:.82rem;line-height:1.35}
.images img{display:block;width:100%;height:auto;image-rendering:pixelated;border:1px solid var(--line);margin-bottom:.3rem}
.wrong{color:var(--paper);font-weight:600}
figcaption{font-size:.8rem;margin-top:.3rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.9rem;margin:.5rem 0}
dd{margin:0}
pre{background:var(--soft);padding:.8rem 1rem;border-radius:.4rem;overflow-x:auto;font-size:.88rem}
.claims td{white-space:normal}.claims td:first-child{white-space:nowrap;font-weight:700}
.claims details{font-size:.88rem;color:var(--muted)}.claims ul{margin:.3rem 0;padding-left:1.2rem}
.confirmed{color:#067647}.refuted{color:var(--paper)}.undecided{color:var(--muted)}
.settings td{white-space:normal;min-width:9rem}
@media(max-width:36rem){main{padding:1.5rem 1rem 3rem}dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}}
@media screen and (prefers-color-scheme:dark){
.confirmed{color:#4cc38a}
:root{--ink:${DARK[INK]};--muted:${DARK[MUTED]};--line:${DARK[GRID]};--page:${DARK[PAGE]};--paper:${DARK[PAPER]};--soft:#1f2226}
${[...Object.entries(DARK), ...SERIES.map((color, i) => [color, SERIES_DARK[i]!] as const)].map(swap).join('\n')}
}
@media print{
:root{color-scheme:light}
body{font-size:10.5pt}main{max-width:none;padding:0}
section{break-inside:auto;margin-top:1.5rem}
tr,.plot,figure{break-inside:avoid}h2,h3{break-after:avoid}
.scroll{overflow:visible}.plot svg{min-width:0}.figures{font-size:8.5pt}
}
`.trim();
