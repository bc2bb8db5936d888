// The front end of lth_core.widgets.RoundExplorer: plain SVG, drawn at the width there is, so that text keeps its size.
const DASHES = ["", "7 4", "2 3", "9 3 2 3"]; // arms differ by more than colour
const percent = (value) => `${value >= 10 ? +value.toFixed(1) : +value.toPrecision(2)}%`;
const accuracy = (fraction) => `${(100 * fraction).toFixed(1)}%`;
const finite = Number.isFinite;

function svg(name, attributes, parent, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

function html(name, attributes, parent, text) {
  const node = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

/** About `count` round numbers from `low` to `high`. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.75);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** Accuracies at which all but the worst tenth of the trained part of the curves can be told apart. */
function limits(data) {
  if (data.limits) return data.limits;
  const seen = [];
  for (const rounds of Object.values(data.curves))
    for (const { iteration, mean } of Object.values(rounds)) {
      const warm = iteration[iteration.length - 1] * 0.2;
      mean.forEach((m, i) => iteration[i] >= warm && finite(m) && seen.push(m));
    }
  seen.sort((a, b) => a - b);
  if (!seen.length) return [0, 1];
  const low = seen[Math.floor(seen.length * 0.1)], high = seen[seen.length - 1];
  const margin = Math.max(0.1 * (high - low), 0.002);
  return [Math.max(0, low - 2 * margin), Math.min(1, high + margin)];
}

/** An empty pair of axes; `x` and `y` map values to pixels. */
function axes(host, { title, width, height, xs, ys, xTicks, yTicks, xText, yText, xLabel, log }) {
  const left = 50, right = 12, top = 24, bottom = 38;
  const to = log ? Math.log : (v) => v;
  const x = (v) => left + ((to(v) - to(xs[0])) / (to(xs[1]) - to(xs[0]) || 1)) * (width - left - right);
  const y = (v) => height - bottom - ((v - ys[0]) / (ys[1] - ys[0] || 1)) * (height - top - bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  svg("rect", { x: left, y: top - 4, width: width - left - right + 6, height: height - top - bottom + 8 },
    svg("clipPath", { id: clip }, svg("defs", {}, root)));
  svg("text", { class: "title", x: left, y: 14 }, root, title);
  for (const v of yTicks) {
    svg("path", { class: "grid", d: `M${left} ${y(v)}H${width - right}` }, root);
    svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, root, yText(v));
  }
  let free = -Infinity; // labels that would touch the one before are left out
  for (const v of xTicks) {
    const label = xText(v), half = label.length * 3.6;
    const centre = Math.min(x(v), width - half - 1);
    svg("path", { class: "axis", d: `M${x(v)} ${height - bottom}v4` }, root);
    if (centre - half < free + 6) continue;
    svg("text", { x: centre, y: height - bottom + 17, "text-anchor": "middle" }, root, label);
    free = centre + half;
  }
  svg("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` }, root);
  svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, root, xLabel);
  host.replaceChildren(root);
  return { root, plot: svg("g", { "clip-path": `url(#${clip})` }, root), x, y };
}

/** A path through the finite points; a diverged stretch is a gap. */
function path(x, y, xs, ys) {
  let d = "", pen = "M";
  xs.forEach((v, i) => {
    if (!finite(ys[i]) || ys[i] === null) return void (pen = "M");
    d += `${pen}${x(v).toFixed(1)} ${y(ys[i]).toFixed(1)}`;
    pen = "L";
  });
  return d;
}

function render({ model, el }) {
  const data = model.get("data");
  const stops = data.rounds, arms = data.order;
  const dash = (arm) => DASHES[arms.indexOf(arm) % DASHES.length];
  const shown = new Set(arms);
  const at = () => Math.max(0, stops.findIndex((s) => s.round === model.get("round")));
  const id = `lth-${Math.random().toString(36).slice(2)}`;

  const root = html("div", { className: "lth lth-explorer" }, el);
  const stop = html("div", { className: "stop" }, root);
  const label = html("label", { htmlFor: id }, stop);
  const slider = html("input", { type: "range", id, min: 0, max: stops.length - 1, step: 1 }, stop);
  slider.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
  const ends = html("div", { className: "ends", ariaHidden: "true" }, stop);
  html("span", {}, ends, percent(stops[0].percent));
  html("span", {}, ends, "fewer weights →");
  html("span", {}, ends, percent(stops[stops.length - 1].percent));

  const boxes = html("fieldset", {}, root);
  html("legend", {}, boxes, "Networks shown");
  const readings = {};
  const key = (parent, attributes) => {
    const swatch = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, parent);
    svg("path", { d: "M1 5H27", fill: "none", "stroke-width": 2.5, ...attributes }, swatch);
  };
  for (const arm of arms) {
    const row = html("label", { className: "arm" }, boxes);
    const box = html("input", { type: "checkbox", checked: true }, row);
    box.dataset.lmSuppressShortcuts = "true";
    box.addEventListener("change", () => { shown[box.checked ? "add" : "delete"](arm); draw(); });
    key(row, { stroke: data.arms[arm].color, "stroke-dasharray": dash(arm) });
    html("span", {}, row, data.arms[arm].label);
    readings[arm] = html("span", {}, row);
  }
  const reference = Object.values(data.curves).find((rounds) => rounds["0"])?.["0"];
  if (reference) {
    const row = html("span", { className: "arm" }, boxes);
    key(row, { stroke: "currentColor", "stroke-opacity": 0.55 });
    html("span", {}, row, "unpruned network");
  }

  const charts = html("div", { className: "charts" }, root);
  const curves = html("div", { className: "chart" }, charts);
  const measures = [
    { column: "accuracy", title: "Test accuracy at early stop", text: accuracy },
    { column: "stop", title: "Early-stopping iteration", text: (v) => v.toLocaleString("en") },
  ].map((measure) => ({ ...measure, host: html("div", { className: "chart pick" }, charts) }));
  if (data.caption) html("p", { className: "caption" }, root, data.caption);

  const value = (arm, column) => {
    const table = data.summary[arm], row = table?.round.indexOf(stops[at()].round) ?? -1;
    return row < 0 || table[column][row] === null ? NaN : table[column][row];
  };
  const [low, high] = limits(data);
  const last = Math.max(1, ...Object.values(data.curves).flatMap((rounds) =>
    Object.values(rounds).map((c) => c.iteration[c.iteration.length - 1])));

  function drawCurves(width) {
    const round = String(stops[at()].round);
    const chart = axes(curves, {
      title: "Test accuracy while training", width, height: Math.min(320, Math.max(240, width * 0.5)),
      xs: [0, last], ys: [low, high], xTicks: ticks(0, last, width < 450 ? 3 : 5), yTicks: ticks(low, high, 5),
      xText: (v) => v.toLocaleString("en"), yText: (v) => `${+(100 * v).toFixed(2)}%`, xLabel: "training iteration",
    });
    const said = [];
    if (reference) svg("path", { class: "line reference", d: path(chart.x, chart.y, reference.iteration, reference.mean) }, chart.plot);
    for (const arm of arms.filter((a) => shown.has(a))) {
      const curve = data.curves[arm]?.[round];
      if (!curve) continue;
      const { color, label: name } = data.arms[arm];
      if (curve.low && curve.high) {
        const keep = curve.iteration.map((_, i) => i).filter((i) => finite(curve.low[i]) && finite(curve.high[i]));
        const d = path(chart.x, chart.y, keep.map((i) => curve.iteration[i]), keep.map((i) => curve.high[i])) +
          path(chart.x, chart.y, keep.map((i) => curve.iteration[i]).reverse(), keep.map((i) => curve.low[i]).reverse()).replace("M", "L");
        svg("path", { class: "band", d: `${d}Z`, fill: color }, chart.plot);
      }
      svg("path", { class: "line", "data-arm": arm, d: path(chart.x, chart.y, curve.iteration, curve.mean), stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      said.push(`${name} ends at ${accuracy(curve.mean[curve.mean.length - 1])}`);
    }
    chart.root.setAttribute("aria-label", `Test accuracy against training iteration at ${percent(stops[at()].percent)} of weights remaining: ${said.join(", ") || "no network shown"}.`);
  }

  function drawMeasure({ host, column, title, text }, width) {
    const tables = arms.map((arm) => [arm, data.summary[arm]]).filter(([, table]) => table);
    const all = tables.flatMap(([, table]) => table[column]).filter((v) => v !== null && finite(v)).sort((a, b) => a - b);
    const bottom = column === "stop" ? 0 : Math.max(all[0] ?? 0, (all[all.length - 1] ?? 1) - 0.2); // collapse runs off the axis
    const top = all[all.length - 1] ?? 1, margin = 0.06 * (top - bottom || 1);
    const ys = [column === "stop" ? 0 : Math.max(0, bottom - margin), column === "stop" ? top + margin : Math.min(1, top + margin)];
    const percents = stops.map((s) => s.percent);
    const chart = axes(host, {
      title, width, height: 210, log: true, xs: [Math.max(...percents) * 1.08, Math.min(...percents) / 1.08], ys,
      xTicks: percents.filter((_, i) => i % Math.ceil(percents.length / 7) === 0), yTicks: ticks(ys[0], ys[1], 4),
      xText: (v) => `${+v.toPrecision(v >= 10 ? 3 : 2)}`, yText: column === "stop" ? text : (v) => `${+(100 * v).toFixed(2)}%`,
      xLabel: "% of weights remaining",
    });
    const here = stops[at()].percent, said = [];
    svg("path", { class: "here", d: `M${chart.x(here)} 20V172` }, chart.root);
    for (const [arm, table] of tables.filter(([a]) => shown.has(a))) {
      const { color, label: name } = data.arms[arm];
      svg("path", { class: "line", d: path(chart.x, chart.y, table.percent, table[column]), stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      table.percent.forEach((p, i) => {
        const v = table[column][i], now = table.round[i] === stops[at()].round;
        if (v === null || !finite(v)) return;
        svg("circle", { cx: chart.x(p), cy: chart.y(v), r: now ? 6 : 2.5, fill: color, ...(now && { stroke: "currentColor", "stroke-width": 1.5 }) }, chart.plot);
        if (now) said.push(`${name} ${text(v)}`);
      });
    }
    chart.root.setAttribute("aria-label", `${title} against percent of weights remaining, at ${percent(here)}: ${said.join(", ") || "no network shown"}.`);
    host.onclick = (event) => {
      const box = chart.root.getBoundingClientRect();
      const clicked = ((event.clientX - box.left) / box.width) * width;
      const near = stops.map((s) => Math.abs(chart.x(s.percent) - clicked));
      choose(near.indexOf(Math.min(...near)));
    };
  }

  function choose(index) {
    model.set("round", stops[index].round);
    model.save_changes();
  }

  function draw() {
    const { round, percent: left } = stops[at()];
    slider.value = String(at());
    slider.setAttribute("aria-valuetext", `${percent(left)} of weights remaining, pruning round ${round}`);
    label.textContent = `${percent(left)} of weights remaining · ${round === 0 ? "unpruned" : `pruning round ${round}`}`;
    for (const arm of arms) {
      const best = value(arm, "accuracy");
      readings[arm].textContent = finite(best) ? ` ${accuracy(best)} at iteration ${value(arm, "stop").toLocaleString("en")}` : "";
    }
    if (!curves.clientWidth) return; // not on the page yet: the observer calls again
    drawCurves(curves.clientWidth);
    for (const measure of measures) drawMeasure(measure, measure.host.clientWidth);
  }

  slider.addEventListener("input", () => choose(+slider.value));
  model.on("change:round", draw);
  const observer = new ResizeObserver(draw);
  observer.observe(charts);
  draw();
  return () => {
    observer.disconnect();
    model.off("change:round", draw);
  };
}

export default { render };
