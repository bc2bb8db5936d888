// The front end of lth_core.explorer.TicketExplorer: plain SVG, drawn at the width there is, so that text keeps its size.

/** Mean, lowest and highest over the trials that are shown, position by position; null where a trial diverged. */
function over(trials) {
  const length = Math.max(0, ...trials.map((t) => t?.length ?? 0));
  const columns = Array.from({ length }, (_, i) => trials.map((t) => t?.[i] ?? null).filter((v) => v !== null));
  const each = (f) => columns.map((c) => (c.length ? f(c) / 1e4 : null));
  return { mean: each(mean), low: each((c) => Math.min(...c)), high: each((c) => Math.max(...c)) };
}

/** A diamond about a point. */
const diamond = (x, y) => `M${x} ${y - 6}l6 6l-6 6l-6 -6z`;

/** Accuracies at which all but the worst tenth of the trained part of the curves can be told apart. */
function limits(data) {
  const seen = Object.values(data.curves).flatMap((rounds) => Object.values(rounds).flat().flatMap((curve) =>
    curve.filter((v, i) => v !== null && data.iteration[i] >= 0.2 * data.iteration[data.iteration.length - 1])));
  seen.sort((a, b) => a - b);
  if (!seen.length) return [0, 1];
  const low = seen[Math.floor(seen.length * 0.1)] / 1e4, high = seen[seen.length - 1] / 1e4;
  const margin = Math.max(0.1 * (high - low), 0.002);
  return [Math.max(0, low - 2 * margin), Math.min(1, high + margin)];
}

function render({ model, el }) {
  const data = model.get("data");
  const stops = data.rounds, arms = data.order, grid = data.iteration;
  const dash = (arm) => DASHES[arms.indexOf(arm) % DASHES.length];
  const shown = new Set(arms);
  const at = () => Math.max(0, stops.findIndex((s) => s.round === model.get("round")));
  const trial = () => model.get("trial");

  const root = html("div", { className: "lth lth-widget lth-ticket" }, el);
  const { label, input: slider, row: stop } = control(root, "", "input", { type: "range", min: 0, max: stops.length - 1, step: 1 });
  const ends = html("div", { className: "ends", ariaHidden: "true" }, stop);
  for (const text of [percent(stops[0].percent), "fewer weights →", percent(stops[stops.length - 1].percent)]) html("span", {}, ends, text);

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
  const printed = data.printed ?? [];
  const legend = printed.length && html("span", { className: "arm" }, boxes);
  if (legend) {
    const swatch = svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" }, legend);
    svg("path", { class: "printed", d: diamond(14, 6), stroke: "currentColor" }, swatch);
    html("span", {}, legend, "printed in the paper");
  }
  const compared = (column) => printed.filter((p) => p.column === column && shown.has(p.arm) && trial() === null);
  const select = choice(root, "Trials", [["", `mean of ${data.trials.length}, band from lowest to highest`],
    ...data.trials.map((t, i) => [t, `only number ${i + 1}`])]);

  const charts = html("div", { className: "charts" }, root);
  const curves = html("div", { className: "chart" }, charts);
  const measures = [
    { column: "accuracy", title: "Test accuracy at early stop", text: accuracy, unit: 1e-4 },
    { column: "stop", title: "Early-stopping iteration", text: (v) => Math.round(v).toLocaleString("en"), unit: 1 },
  ].map((measure) => ({ ...measure, host: html("div", { className: "chart pick" }, charts) }));
  const told = printed.length && html("p", { className: "told" }, root);
  const drawAnatomy = data.anatomy && anatomy(data, root);
  if (data.caption) html("p", { className: "caption" }, root, data.caption);

  const pick = (trials) => (trials ? chosen(trials, trial(), data.trials) : []);
  const value = (arm, { column, unit }, round) => {
    const known = pick(data.summary[arm]?.[round]?.[column]).filter((v) => v !== null);
    return known.length ? unit * mean(known) : NaN;
  };
  const [low, high] = limits(data);
  const last = grid[grid.length - 1];

  function drawCurves(width) {
    const round = stops[at()].round, said = [];
    const chart = axes(curves, {
      title: "Test accuracy while training", width, height: Math.min(320, Math.max(240, width * 0.5)),
      xs: [0, last], ys: [low, high], xTicks: ticks(0, last, width < 450 ? 3 : 5), yTicks: ticks(low, high, 5),
      xText: (v) => v.toLocaleString("en"), yText: (v) => `${+(100 * v).toFixed(2)}%`, xLabel: "training iteration",
    });
    const line = (ys) => path(chart.x, chart.y, grid, ys);
    if (reference) svg("path", { class: "line reference", d: line(over(pick(reference)).mean) }, chart.plot);
    for (const arm of arms.filter((a) => shown.has(a) && data.curves[a]?.[round])) {
      const { color, label: name } = data.arms[arm];
      const curve = over(pick(data.curves[arm][round]));
      const keep = grid.map((_, i) => i).filter((i) => curve.mean[i] !== null);
      const edge = (order, ys) => order.map((i) => `${chart.x(grid[i]).toFixed(1)} ${chart.y(ys[i]).toFixed(1)}`).join("L");
      if (keep.length) svg("path", { class: "band", d: `M${edge(keep, curve.high)}L${edge([...keep].reverse(), curve.low)}Z`, fill: color }, chart.plot);
      svg("path", { class: "line", "data-arm": arm, d: line(curve.mean), stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      said.push(`${name} ends at ${accuracy(curve.mean[curve.mean.length - 1])}`);
    }
    chart.root.setAttribute("aria-label", `Test accuracy against training iteration at ${percent(stops[at()].percent)} of weights remaining: ${said.join(", ") || "no network shown"}.`);
  }

  function drawMeasure(measure, width) {
    const { host, column, title, text } = measure;
    const seen = arms.map((arm) => [arm, stops.map((s) => value(arm, measure, s.round))]);
    const all = [...seen.flatMap(([, values]) => values), ...compared(column).map((p) => p.value)].filter(finite);
    const top = Math.max(...all, 1e-9), bottom = column === "stop" ? 0 : Math.max(Math.min(...all), top - 0.06); // collapse runs off the axis, as in the papers
    const margin = 0.06 * (top - bottom || 1);
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
    for (const [arm, values] of seen.filter(([a]) => shown.has(a))) {
      const { color, label: name } = data.arms[arm];
      svg("path", { class: "line", d: path(chart.x, chart.y, percents, values), stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      values.forEach((v, i) => {
        const now = i === at();
        if (!finite(v)) return;
        svg("circle", { cx: chart.x(percents[i]), cy: chart.y(v), r: now ? 6 : 2.5, fill: color, ...(now && { stroke: "currentColor", "stroke-width": 1.5 }) }, chart.plot);
        if (now) said.push(`${name} ${text(v)}`);
      });
    }
    for (const p of compared(column)) {
      if (Math.abs(p.percent / here - 1) < 0.02) said.push(`printed for ${data.arms[p.arm].label}: ${text(p.value)}`);
      svg("path", { class: "printed", d: diamond(chart.x(p.percent), chart.y(p.value)), stroke: data.arms[p.arm].color }, chart.plot);
    }
    chart.root.setAttribute("aria-label", `${title} against percent of weights remaining, at ${percent(here)}: ${said.join(", ") || "no network shown"}.`);
    host.onclick = (event) => {
      const box = chart.root.getBoundingClientRect();
      const clicked = ((event.clientX - box.left) / box.width) * width;
      const near = percents.map((p) => Math.abs(chart.x(p) - clicked));
      choose("round", stops[near.indexOf(Math.min(...near))].round);
    };
  }

  function choose(name, chosen) {
    model.set(name, chosen);
    model.save_changes();
  }

  /** What the paper prints about networks of the chosen size. */
  function tell(left) {
    const here = printed.filter((p) => Math.abs(p.percent / left - 1) < 0.02).map((p) => p.says);
    return here.length ? `What the paper says of this size, in our words: ${[...new Set(here)].join(" ")}` : "";
  }

  function draw() {
    const { round, percent: left } = stops[at()];
    slider.value = String(at());
    select.value = trial() === null ? "" : String(trial());
    slider.setAttribute("aria-valuetext", `${percent(left)} of weights remaining, pruning round ${round}`);
    label.textContent = `${percent(left)} of weights remaining · ${round === 0 ? "unpruned" : `pruning round ${round}`}`;
    for (const arm of arms) {
      const [best, when] = measures.map((measure) => value(arm, measure, round));
      readings[arm].textContent = finite(best) ? ` ${accuracy(best)} at iteration ${Math.round(when).toLocaleString("en")}` : "";
    }
    if (!curves.clientWidth) return; // not on the page yet: the observer calls again
    drawCurves(curves.clientWidth);
    for (const measure of measures) drawMeasure(measure, measure.host.clientWidth);
    if (legend) legend.hidden = trial() !== null;
    if (told) told.textContent = tell(left);
    drawAnatomy?.(round, trial());
  }

  slider.addEventListener("input", () => choose("round", stops[+slider.value].round));
  select.addEventListener("change", () => choose("trial", select.value === "" ? null : +select.value));
  return follow(model, ["round", "trial"], charts, draw);
}

export default { render };
