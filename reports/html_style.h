/// The report's style sheet: light and dark by the reader's setting, one column on a phone, black on white on
/// paper. Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), told apart with every kind of
/// colour vision; lines differ in their dashes as well.
#pragma once

namespace kvcast {

inline constexpr const char* kHtmlStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f7f9;--text:#1a1e23;--muted:#5a6470;--line:#d5dae0;--rail:#e6e9ed;
--blue:#0072b2;--orange:#c25400;--green:#00805d;--grey:#7b8794;--good:#00609a;--bad:#b03a00;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1c2127;--text:#e7ebf0;--muted:#a0abb7;--line:#343c46;--rail:#2a313a;
--blue:#5ab4ec;--orange:#f09a3e;--green:#2fc49a;--grey:#8593a1;--good:#6cbcf0;--bad:#ff9563;--warn:#e8b84a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:1200px;margin:0 auto;padding:28px 20px 48px}
header p,.lead{margin:0}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;font-weight:650;letter-spacing:-.01em}
h2{font-size:17px;margin:40px 0 4px;font-weight:650}
h3{font-size:14px;margin:0 0 2px;font-weight:650}
.sub,.lead,.def,figcaption,.source{color:var(--muted)}
.lead{font-size:14px;margin:0 0 14px}
.def,.source,figcaption{font-size:13px;line-height:1.4}
.verdict{margin:20px 0 0;padding:14px 16px;border-left:4px solid var(--good);background:var(--panel);border-radius:0 6px 6px 0;font-size:17px;line-height:1.45}
.verdict.bad{border-color:var(--bad)}
.verdict b{color:var(--good)}.verdict.bad b{color:var(--bad)}
.warn{margin:10px 0 0;padding-left:16px;border-left:4px solid var(--warn);font-size:14px}
.warn b{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:12px;margin:20px 0 0}
.card{background:var(--panel);border-radius:8px;padding:12px 14px}
.card .name{font-size:13px;color:var(--muted)}
.card .value{font-size:23px;font-weight:600;line-height:1.25;letter-spacing:-.01em;white-space:nowrap}
.card .value small{font-size:14px;font-weight:500;color:var(--muted);letter-spacing:0}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:baseline;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--muted);font-weight:500;font-size:13px}
tbody th{font-weight:500}
.num{text-align:right;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
.total th,.total .num{font-weight:650}
.met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}
.scroll{overflow-x:auto}.scroll .roomy,.scroll .compact{overflow-wrap:normal}.scroll .roomy{min-width:640px}.scroll .compact{max-width:560px}
.charts+.scroll{margin-top:24px}
.bars td.pic{width:34%;min-width:150px;vertical-align:middle}.bars .source{font-weight:400}
tbody th.num{text-align:right;font-weight:400}
.bar{display:block;width:100%;height:14px}
.bar .rail{fill:var(--rail)}.bar .used{fill:var(--grey)}.bar .blue{fill:var(--blue)}.bar .green{fill:var(--green)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr));gap:20px 24px}
figure{margin:0}
figure+figure{margin-top:20px}
.charts figure{margin:0}
.chart{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;font-variant-numeric:tabular-nums}
.charts .chart{max-width:460px}
.chart .tick{fill:var(--muted)}
.chart .note,.chart .limit-text{fill:var(--text);paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
.chart .limit-text{fill:var(--bad);font-weight:600}
.chart .grid{stroke:var(--line);stroke-width:1}
.chart .axis{stroke:var(--muted);stroke-width:1}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .line.blue{stroke:var(--blue)}.chart .line.green{stroke:var(--green)}.chart .line.orange{stroke:var(--orange);stroke-dasharray:5 2}
.chart .band{stroke:none;fill-opacity:.22}
.chart .band.blue{fill:var(--blue)}.chart .band.orange{fill:var(--orange)}.chart .band.green{fill:var(--green)}
.chart .dot{fill:var(--blue);stroke:var(--bg);stroke-width:1.5}
.chart .limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:2 3}
.chart .ring{fill:none;stroke:var(--bad);stroke-width:2}
.narrow{display:none}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:0;font-size:14px}
dt{color:var(--muted)}dd{margin:0}
ul{margin:0;padding-left:20px;font-size:14px}
li{margin:3px 0}
code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--panel);border-radius:8px;padding:14px 16px;overflow-x:auto;margin:8px 0 0;white-space:pre;overflow-wrap:normal}
details{margin-top:10px;font-size:14px}
summary{cursor:pointer;color:var(--muted)}
footer{margin-top:40px;padding-top:12px;border-top:1px solid var(--line);color:var(--muted);font-size:13px}
@media (max-width:640px){
main{padding:18px 14px 32px}
h1{font-size:20px}.verdict{font-size:16px}
.cards{grid-template-columns:1fr 1fr;gap:8px}.card{padding:10px 12px}.card .value{font-size:20px}
.wide{display:none}.narrow{display:block}
.bars thead{position:absolute;clip-path:inset(50%);height:1px;width:1px;overflow:hidden}
.bars,.bars tbody{display:block}
.bars tr{display:grid;grid-template-columns:1fr auto;border-top:1px solid var(--line);padding:7px 0}
.bars th,.bars td{border:0;padding:0}
.bars td.pic,.bars td.source{grid-column:1/-1;width:auto;padding-top:4px}
.bars td.num{grid-column:2;grid-row:1}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:6px}
}
@media print{
:root{--bg:#fff;--panel:#fff;--text:#000;--muted:#444;--line:#bbb;--rail:#e6e9ed;--blue:#0072b2;--orange:#c25400;--green:#00805d;--grey:#7b8794;
--good:#00609a;--bad:#b03a00;--warn:#8a5a00}
body{font-size:11pt}main{max-width:none;padding:0}
.bar rect,.chart .band{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.card,.verdict{border:1px solid var(--line)}
figure,.card,.verdict,tr{break-inside:avoid}h2{break-after:avoid}
pre{white-space:pre-wrap}
details::details-content{content-visibility:visible;block-size:auto}
}
)css";

}  // namespace kvcast
