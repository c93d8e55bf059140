// What scripts add to a report: hints beside their term, and uPlot in place of the charts over time (zoom, one cursor for all).
// Without it nothing is missing: hints stand at the foot of the window, charts are drawn.
(() => {
  "use strict";
  const root = document.documentElement;

  // ---- hints ----
  const place = (term) => {
    const box = term.getBoundingClientRect();
    const width = Math.min(320, innerWidth - 32);
    const below = box.bottom + 110 < innerHeight;
    term.style.setProperty("--tip-x", Math.max(12, Math.min(box.left, innerWidth - width - 16)) + "px");
    term.style.setProperty("--tip-y", below ? box.bottom + 6 + "px" : "auto");
    term.style.setProperty("--tip-b", below ? "auto" : innerHeight - box.top + 6 + "px");
  };
  root.classList.add("placed");
  for (const event of ["pointerover", "focusin"]) {
    document.addEventListener(event, (e) => {
      const term = e.target.closest && e.target.closest(".term");
      if (!term) return;
      root.classList.remove("no-tip");
      place(term);
    });
  }
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") root.classList.add("no-tip");
  });

  // ---- charts over time ----
  const charts = [];
  if (typeof uPlot === "undefined") return;
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const number = (value, percent) => {
    if (value === null || value === undefined) return "";
    if (percent) return (100 * value).toFixed(1) + " %";
    return Math.abs(value) >= 100 || Number.isInteger(value)
      ? Math.round(value).toLocaleString("en-US")
      : value.toPrecision(3);
  };
  const unitOf = (last) =>
    last < 1 ? [1e3, "ms"] : last < 240 ? [1, "s"] : last < 14400 ? [1 / 60, "min"] : [1 / 3600, "h"];

  const prepare = (data) => {
    const count = data.series[0].values.length;
    const [scale, unit] = unitOf(data.first + data.spacing * (count - 1));
    const x = Array.from({ length: count }, (_, i) => (data.first + data.spacing * i) * scale);
    const drawn = [];
    data.series.forEach((series, k) => {
      drawn.push(data.stacked && k > 0 ? series.values.map((v, i) => v + drawn[k - 1][i]) : series.values);
    });
    return { x, drawn, unit, count };
  };

  const axis = (extra) =>
    Object.assign(
      {
        stroke: () => colour("muted"),
        font: "12px system-ui,sans-serif",
        grid: { stroke: () => colour("line"), width: 1 },
        ticks: { stroke: () => colour("line"), width: 1, size: 4 },
        gap: 5,
      },
      extra
    );

  let syncing = false;
  const zoomAll = (min, max) => {
    syncing = true;
    for (const chart of charts) chart.plot.setScale("x", { min, max });
    syncing = false;
  };
  const limits = (chart) => [0, chart.x[chart.x.length - 1]];
  const zoomBy = (chart, factor) => {
    const [lo, hi] = limits(chart);
    const { min, max } = chart.plot.scales.x;
    const cursor = chart.plot.cursor.idx;
    const middle = cursor !== null && cursor !== undefined ? chart.x[cursor] : (min + max) / 2;
    const half = Math.max(((max - min) / 2) * factor, (hi - lo) / 500);
    zoomAll(Math.max(lo, middle - half), Math.min(hi, middle + half));
  };
  const pan = (chart, share) => {
    const [lo, hi] = limits(chart);
    const { min, max } = chart.plot.scales.x;
    const by = Math.max(lo - min, Math.min(hi - max, share * (max - min)));
    zoomAll(min + by, max + by);
  };
  const reset = (chart) => zoomAll(...limits(chart));

  const readout = (chart, index) => {
    if (index === null || index === undefined) return "";
    const { data, x, unit } = chart;
    const parts = data.series.map((s) => (data.series.length > 1 ? s.name + " " : "") + number(s.values[index], data.percent));
    return number(x[index]) + " " + unit + ": " + parts.join(", ");
  };
  const moveCursor = (chart, by) => {
    const { min, max } = chart.plot.scales.x;
    const at = chart.plot.cursor.idx;
    let next = at === null || at === undefined ? chart.x.findIndex((v) => v >= (min + max) / 2) : at + by;
    next = Math.max(0, Math.min(chart.count - 1, next));
    if (chart.x[next] < min) pan(chart, -0.25);
    if (chart.x[next] > max) pan(chart, 0.25);
    chart.plot.setCursor({ left: chart.plot.valToPos(chart.x[next], "x"), top: 10 });
    chart.say.textContent = readout(chart, next);
  };

  const button = (name, words, act) => {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = words;
    element.setAttribute("aria-label", name);
    element.addEventListener("click", act);
    return element;
  };

  const enhance = (figure, source) => {
    const data = JSON.parse(source.textContent);
    const chart = Object.assign({ data }, prepare(data));
    const live = document.createElement("div");
    live.className = "live";
    const area = document.createElement("div");
    area.className = "plot-area";
    area.tabIndex = 0;
    area.setAttribute("role", "group");
    area.setAttribute(
      "aria-label",
      figure.querySelector("h3").textContent + ": left and right move the cursor, plus and minus zoom, 0 shows all"
    );
    const tools = document.createElement("div");
    tools.className = "tools";
    chart.say = document.createElement("p");
    chart.say.className = "readout";
    chart.say.setAttribute("aria-live", "polite");
    tools.append(
      button("Zoom in", "+", () => zoomBy(chart, 0.5)),
      button("Zoom out", "\u2212", () => zoomBy(chart, 2)),
      button("Show all", "Show all", () => reset(chart)),
      chart.say
    );
    live.append(area, tools);
    figure.append(live);
    figure.classList.add("enhanced");
    const bands = data.stacked ? data.series.slice(1).map((_, k) => ({ series: [k + 2, k + 1] })) : [];
    const options = {
      width: Math.max(200, area.clientWidth),
      height: 210,
      legend: { show: false },
      cursor: { sync: { key: "time" }, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: false }, y: { range: (_, min, max) => [0, Math.max(max, data.percent ? 0.01 : 4) * 1.05] } },
      axes: [
        axis({ label: "time since the first arrival, " + chart.unit, labelSize: 20, labelFont: "12px system-ui,sans-serif", size: 28,
               values: (_, ticks) => ticks.map((v) => (v === null ? "" : String(+v.toPrecision(6)))) }),
        axis({ size: 54, label: data.unit || undefined, labelSize: 18, labelFont: "12px system-ui,sans-serif",
               values: (_, ticks) => {
                 const step = ticks.length > 1 ? 100 * (ticks[1] - ticks[0]) : 1;
                 const digits = Math.abs(step - Math.round(step)) > 1e-6 ? 1 : 0;
                 return ticks.map((v) => (v === null ? "" : data.percent ? (100 * v).toFixed(digits) + " %" : v.toLocaleString("en-US")));
               } }),
      ],
      series: [{}].concat(
        data.series.map((series) => ({
          label: series.name,
          width: 2,
          points: { show: false },
          stroke: () => colour(series.colour),
          fill: data.stacked ? () => colour(series.colour) + "55" : undefined,
          dash: series.colour === "orange" ? [5, 2] : undefined,
        }))
      ),
      bands,
      hooks: {
        setCursor: [(plot) => { chart.say.textContent = readout(chart, plot.cursor.idx); }],
        setScale: [(plot, key) => { if (key === "x" && !syncing) zoomAll(plot.scales.x.min, plot.scales.x.max); }],
      },
    };
    chart.plot = new uPlot(options, [chart.x].concat(chart.drawn), area);
    area.querySelector(".uplot").setAttribute("aria-hidden", "true");
    area.addEventListener("keydown", (e) => {
      const act = {
        ArrowLeft: () => moveCursor(chart, e.shiftKey ? -10 : -1),
        ArrowRight: () => moveCursor(chart, e.shiftKey ? 10 : 1),
        "+": () => zoomBy(chart, 0.5),
        "=": () => zoomBy(chart, 0.5),
        "-": () => zoomBy(chart, 2),
        0: () => reset(chart),
      }[e.key];
      if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      act();
    });
    new ResizeObserver(() => {
      const width = Math.max(200, area.clientWidth);
      if (width !== chart.plot.width) chart.plot.setSize({ width, height: 210 });
    }).observe(area);
    charts.push(chart);
  };

  for (const source of document.querySelectorAll('figure.plot script[type="application/json"]'))
    enhance(source.closest("figure"), source);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of charts) chart.plot.redraw(false, true);
  });
})();
