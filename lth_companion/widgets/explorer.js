// The front end of TicketExplorer: plain SVG, drawn at the width there is, so that text keeps its size.

const LOST = 65535; // in packed curves

/** Packed curves by stop, trial and point; null where one lacks. */
function unpack(text, trials, points) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const at = (i) => ((v) => (v === LOST ? null : v / 1e4))(view.getUint16(2 * i, true));
  return (stop) => Array.from({ length: trials }, (_, t) =>
    Array.from({ length: points }, (_, i) => at((stop * trials + t) * points + i)));
}

/** Mean, lowest and highest over the trials that are shown, position by position; null where all diverged. */
function over(trials) {
  const length = Math.max(0, ...trials.map((t) => t?.length ?? 0));
  const columns = Array.from({ length }, (_, i) => trials.map((t) => t?.[i] ?? null).filter((v) => v !== null));
  const each = (f) => columns.map((c) => (c.length ? f(c) : null));
  return { mean: each(mean), low: each((c) => Math.min(...c)), high: each((c) => Math.max(...c)) };
}

/** The height of a line over `x`, between its points. */
function along(xs, ys, x) {
  const next = xs.findIndex((v) => v >= x);
  if (next <= 0) return ys[Math.max(next, 0)];
  const [a, b] = [ys[next - 1], ys[next]];
  return a === null || b === null ? null : a + ((b - a) * (x - xs[next - 1])) / (xs[next] - xs[next - 1]);
}

/** A diamond about a point. */
const diamond = (x, y) => `M${x} ${y - 6}l6 6l-6 6l-6 -6z`;

/** The index of the number nearest to `wanted`. */
const nearest = (values, wanted) => values.reduce((best, v, i) => (Math.abs(v - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);

/** Limits with a margin around values, for accuracies no further than they can go. */
function around(values, most = Infinity) {
  const low = Math.min(...values), high = Math.max(...values), margin = Math.max(0.07 * (high - low), 0.0007);
  return values.length ? [Math.max(0, low - margin), Math.min(most, high + margin)] : [0, 1];
}

function render({ model, el }) {
  const data = model.get("data"), grid = data.iteration, arms = data.order, trials = data.trials;
  const dash = (arm) => DASHES[arms.indexOf(arm) % DASHES.length];
  const WHOLE = { round: 0, percent: 100 };
  const ways = data.ways.map((way, index) => ({ ...way, index, stops: [WHOLE, ...way.stops] }));
  const slow = ways.filter((way) => way.schedule === "iterative"), once = ways.find((way) => way.schedule === "one-shot");
  const titles = { accuracy: "Test accuracy at early stopping", stop: "Early-stopping iteration", size: "weights", ...data.titles };
  const printed = data.printed ?? [];

  // What is chosen. An address may ask for anything: what does not exist moves to the nearest that does.
  const rates = slow.map((way) => way.rate);
  const current = () => (once && (model.get("schedule") === "one-shot" || !slow.length) ? once : slow[nearest(rates, model.get("rate"))]);
  const at = (way) => (way === once ? nearest(way.stops.map((s) => Math.log(s.percent)), Math.log(Math.max(model.get("percent"), 1e-3)))
    : nearest(way.stops.map((s) => s.round), model.get("round")));
  const here = () => current().stops[at(current())];
  const trial = () => (trials.includes(model.get("trial")) ? model.get("trial") : null);
  const shown = () => model.get("arms").split(",").filter((arm) => arms.includes(arm));

  const set = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };
  const choose = (way, stop) => set(way === once ? { schedule: "one-shot", percent: stop.percent }
    : { ...(once && { schedule: "iterative" }), rate: way.rate, round: stop.round });
  /** Another way down, at about the same size. */
  const turn = (way) => choose(way, way.stops[nearest(way.stops.map((s) => Math.log(s.percent)), Math.log(here().percent))]);

  const decoded = new Map();
  const unpacked = (text) => decoded.get(text) ?? decoded.set(text, unpack(text, trials.length, grid.length)).get(text);
  const pick = (values) => (values ? chosen(values, trial(), trials) : []);
  const curve = (way, i, arm) => pick(i === 0 ? unpacked(data.unpruned.curves)(0) : way.curves[arm] && unpacked(way.curves[arm])(i - 1));
  const value = (way, i, arm, { column, unit }) => {
    const all = pick(i === 0 ? data.unpruned[column] : way[column][arm]?.[i - 1]), known = all.filter((v) => v !== null);
    return known.length && 2 * known.length >= all.length ? unit * mean(known) : NaN; // half of them converge, or no point
  };

  // The controls
  const root = html("div", { className: "lth lth-widget lth-ticket" }, el);
  const sliders = html("div", { className: "sliders" }, root);
  const speed = slow.length > 1 && control(sliders, "", "input", { type: "range", min: 0, max: slow.length - 1, step: 1 });
  const size = control(sliders, "", "input", { type: "range", min: 0, step: 1 });
  // The charts, and below them what is chosen less often and what their lines are
  const charts = html("div", { className: "charts" }, root);
  const curves = html("div", { className: "chart" }, charts);
  const measures = [
    { column: "accuracy", title: titles.accuracy, text: accuracy, unit: 1e-4 },
    { column: "stop", title: titles.stop, text: (v) => Math.round(v).toLocaleString("en"), unit: 1 },
  ].map((measure) => ({ ...measure, host: html("div", { className: "chart pick" }, charts) }));
  const choices = html("div", { className: "controls" }, root);
  const schedule = once && slow.length && choice(choices, "Schedule", [["iterative", "iterative"], ["one-shot", "one-shot"]]);
  const select = choice(choices, "Trials", [["", `mean of ${trials.length}`], ...trials.map((t, i) => [t, `number ${i + 1}`])]);
  const boxes = html("fieldset", {}, root);
  html("legend", {}, boxes, "Networks shown, the band from the lowest to the highest trial");
  const key = (parent, attributes) => {
    const swatch = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, parent);
    svg("path", { d: "M1 5H27", fill: "none", "stroke-width": 2.5, ...attributes }, swatch);
  };
  const rows = arms.map((arm) => {
    const row = html("label", { className: "arm" }, boxes);
    const box = html("input", { type: "checkbox" }, row);
    box.dataset.lmSuppressShortcuts = "true";
    box.addEventListener("change", () => set({ arms: arms.filter((a) => (a === arm ? box.checked : shown().includes(a))).join() }));
    key(row, { stroke: data.arms[arm].color, "stroke-dasharray": dash(arm) });
    html("span", {}, row, data.arms[arm].label);
    return { arm, row, box, reading: html("span", {}, row) };
  });
  const whole = html("span", { className: "arm" }, boxes);
  key(whole, { stroke: "currentColor", "stroke-opacity": 0.55 });
  html("span", {}, whole, "unpruned network");
  const legend = printed.length && html("span", { className: "arm" }, boxes);
  if (legend) {
    const swatch = svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" }, legend);
    svg("path", { class: "printed", d: diamond(14, 6), stroke: "currentColor" }, swatch);
    html("span", {}, legend, "printed in the paper");
  }
  const others = slow.length > 1 && html("p", { className: "note" }, root);
  const told = printed.length && html("p", { className: "told" }, root);
  const bars = html("div", { className: "chart layers" }, root);
  const inside = data.anatomy && html("div", {}, root);
  const drawAnatomy = inside && anatomy(data, inside);
  if (data.caption) html("p", { className: "caption" }, root, data.caption);

  const compared = (column) => printed.filter((p) => p.way === current().index && p.column === column && shown().includes(p.arm) && trial() === null);
  const last = grid[grid.length - 1];
  const smallest = Math.min(...ways.flatMap((way) => way.stops.map((s) => s.percent)));
  const learned = grid.findIndex((v) => v >= 0.2 * last); // from here on a curve has risen

  function drawCurves(width, height) {
    const way = current(), i = at(way), said = [];
    const lines = [["", over(curve(way, 0)), NaN], ...shown().map((arm) => [arm, over(curve(way, i, arm)), value(way, i, arm, measures[1])])]
      .filter(([, line]) => line.mean.length);
    const heights = lines.map(([, line, stop]) => (finite(stop) ? along(grid, line.mean, stop) : null));
    const ys = around([...lines.flatMap(([, line]) => line.mean.slice(learned)), ...heights].filter((v) => v !== null), 1);
    const chart = axes(curves, {
      title: "Test accuracy while training", width, height, xs: [0, last], ys, xTicks: ticks(0, last, width < 450 ? 3 : 5),
      yTicks: ticks(...ys, 5), xText: (v) => v.toLocaleString("en"), yText: (v) => `${+(100 * v).toFixed(2)}%`, xLabel: "training iteration",
    });
    for (const [j, [arm, { mean: middle, low, high }, stop]] of lines.entries()) {
      const line = path(chart.x, chart.y, grid, middle);
      if (!arm) { svg("path", { class: "line reference", d: line }, chart.plot); continue; }
      const { color, label } = data.arms[arm], keep = grid.map((_, p) => p).filter((p) => middle[p] !== null);
      const edge = (order, ends) => order.map((p) => `${chart.x(grid[p]).toFixed(1)} ${chart.y(ends[p]).toFixed(1)}`).join("L");
      if (keep.length) svg("path", { class: "band", d: `M${edge(keep, high)}L${edge([...keep].reverse(), low)}Z`, fill: color }, chart.plot);
      svg("path", { class: "line", "data-arm": arm, d: line, stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      if (heights[j] !== null) svg("circle", { class: "stop", "data-arm": arm, cx: chart.x(stop), cy: chart.y(heights[j]), r: 5.5, fill: color, stroke: "currentColor", "stroke-width": 1.5 }, chart.plot);
      said.push(`${label} ends at ${accuracy(middle[middle.length - 1])}`);
    }
    chart.root.setAttribute("aria-label", `Test accuracy against training iteration at ${percent(here().percent)} of ${titles.size} remaining: ${said.join(", ") || "no network shown"}.`);
  }

  function drawMeasure(measure, width, height) {
    const { host, column, title, text } = measure, way = current(), i = at(way), now = here().percent, said = [];
    const percents = way.stops.map((s) => s.percent);
    const seen = shown().map((arm) => [arm, way.stops.map((_, j) => value(way, j, arm, measure))]);
    const marks = compared(column);
    const all = [...seen.flatMap(([, values]) => values), ...marks.map((p) => p.value)].filter(finite);
    const top = Math.max(...all, 0); // collapse runs off the axis, as in the papers, until the slider goes there
    const inView = column === "stop" ? [0, ...all] : [...all.filter((v) => v > top - 0.04), ...seen.map(([, values]) => values[i]).filter(finite)];
    const ys = around(inView, column === "stop" ? Infinity : 1);
    const named = (data.ticks ?? []).filter((t) => t >= smallest * 0.98);
    const chart = axes(host, {
      title, width, height, log: true, xs: [108, smallest / 1.08], ys, yTicks: ticks(...ys, 4),
      xTicks: named.length ? named : percents.filter((_, j) => j % Math.ceil(percents.length / 7) === 0),
      xText: (v) => (v >= 99.95 ? "100" : v.toFixed(v < 1 ? 2 : 1)), yText: column === "stop" ? text : (v) => `${+(100 * v).toFixed(2)}%`,
      xLabel: `% of ${titles.size} remaining`,
    });
    svg("path", { class: "here", d: `M${chart.x(now)} 20V${height - 38}` }, chart.root);
    const first = shown()[0];
    for (const other of first ? slow.filter((w) => w !== way && w.stop[first]) : [])
      svg("path", { class: "line other", d: path(chart.x, chart.y, other.stops.map((s) => s.percent), other.stops.map((_, j) => value(other, j, first, measure))), stroke: data.arms[first].color }, chart.plot);
    for (const [arm, values] of seen) {
      const { color, label } = data.arms[arm];
      svg("path", { class: "line", d: path(chart.x, chart.y, percents, values), stroke: color, "stroke-dasharray": dash(arm) }, chart.plot);
      values.forEach((v, j) => {
        if (!finite(v)) return;
        svg("circle", { cx: chart.x(percents[j]), cy: chart.y(v), r: j === i ? 6 : 2.5, fill: color, ...(j === i && { stroke: "currentColor", "stroke-width": 1.5 }) }, chart.plot);
        if (j === i) said.push(`${label} ${text(v)}`);
      });
    }
    for (const p of marks) {
      if (Math.abs(p.percent / now - 1) < 0.02) said.push(`printed for ${data.arms[p.arm].label}: ${text(p.value)}`);
      svg("path", { class: "printed", d: diamond(chart.x(p.percent), chart.y(p.value)), stroke: data.arms[p.arm].color }, chart.plot);
    }
    chart.root.setAttribute("aria-label", `${title} against percent of ${titles.size} remaining, at ${percent(now)}: ${said.join(", ") || "no network shown"}.`);
    host.onclick = (event) => {
      const box = chart.root.getBoundingClientRect();
      choose(way, way.stops[nearest(percents.map(chart.x), ((event.clientX - box.left) / box.width) * width)]);
    };
  }

  /** What the paper prints about networks of the chosen size. */
  function tell() {
    const said = printed.filter((p) => p.way === current().index && Math.abs(p.percent / here().percent - 1) < 0.02).map((p) => p.says);
    return said.length ? `What the paper says of this size, in our words: ${[...new Set(said)].join(" ")}` : "";
  }

  function draw() {
    const way = current(), i = at(way), { round, percent: left } = here();
    if (speed) {
      speed.input.value = String(slow.indexOf(way === once ? slow[nearest(rates, model.get("rate"))] : way));
      speed.input.disabled = way === once;
      speed.label.textContent = way === once ? "One cut instead of rounds" : `Pruned per round: ${way.rate}%`;
      speed.input.setAttribute("aria-valuetext", way === once ? "one cut instead of rounds" : `${way.rate}% pruned per round`);
    }
    size.input.max = String(way.stops.length - 1);
    size.input.value = String(i);
    const steps = round === 0 ? "unpruned" : way === once ? "one cut" : `round ${round}`;
    size.label.textContent = `${percent(left)} of ${titles.size} left · ${steps}`;
    size.input.setAttribute("aria-valuetext", `${percent(left)} of ${titles.size} remaining, ${round && way !== once ? `pruning round ${round}` : steps}`);
    if (schedule) schedule.value = way.schedule;
    select.value = trial() === null ? "" : String(trial());
    for (const { arm, row, box, reading } of rows) {
      box.checked = shown().includes(arm);
      row.hidden = !way.curves[arm];
      const [best, when] = measures.map((measure) => value(way, i, arm, measure));
      reading.textContent = finite(best) ? ` ${accuracy(best)} at iteration ${Math.round(when).toLocaleString("en")}` : " not there yet";
    }
    if (others) others.textContent = shown().length ? `Faint: the other pruning rates, ${data.arms[shown()[0]].label}.` : "";
    if (!curves.clientWidth) return; // not on the page yet: the observer calls again
    const wide = curves.offsetTop === measures[0].host.offsetTop; // beside each other
    drawCurves(curves.clientWidth, wide ? 270 : 215);
    for (const measure of measures) drawMeasure(measure, measure.host.clientWidth, wide ? 135 : 180);
    if (legend) legend.hidden = trial() !== null || !printed.some((p) => p.way === way.index);
    if (told) told.textContent = tell();
    drawLayers(bars, data.layers, i === 0 ? data.layers.map((l) => l.weights) : way.kept[i - 1], arms.length ? data.arms[arms[0]].color : "currentColor");
    if (inside) {
      inside.hidden = way.index !== data.anatomy.way;
      if (!inside.hidden) drawAnatomy(round, trial());
    }
  }

  speed && speed.input.addEventListener("input", () => turn(slow[+speed.input.value]));
  size.input.addEventListener("input", () => choose(current(), current().stops[+size.input.value]));
  schedule && schedule.addEventListener("change", () => turn(schedule.value === "one-shot" ? once : slow[nearest(rates, model.get("rate"))]));
  select.addEventListener("change", () => set({ trial: select.value === "" ? null : +select.value }));
  return follow(model, ["schedule", "rate", "round", "percent", "arms", "trial"], charts, draw);
}

export default { render };
