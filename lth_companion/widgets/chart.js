// What all widgets of this book share: elements, axes, number formats. widget_base.py puts it in front of each widget.
const DASHES = ["", "7 4", "2 3", "9 3 2 3"]; // arms differ by more than colour
const percent = (value) => `${value >= 10 ? +value.toFixed(1) : +value.toPrecision(2)}%`;
const accuracy = (fraction) => `${(100 * fraction).toFixed(1)}%`;
const finite = Number.isFinite;
const unique = () => `lth-${Math.random().toString(36).slice(2)}`;

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

/** A control with its label. Arrow keys and shortcuts stay with it: JupyterLab would take them. */
function control(parent, text, name, attributes) {
  const row = html("div", { className: "control" }, parent);
  const label = html("label", {}, row, text);
  const input = html(name, { id: unique(), ...attributes }, row);
  label.htmlFor = input.id;
  input.dataset.lmSuppressShortcuts = "true";
  return { row, label, input };
}

/** A labelled list of `[value, text]` choices. */
function choice(parent, text, options) {
  const made = control(parent, text, "select", {});
  for (const [value, said] of options) html("option", { value }, made.input, said);
  return made.input;
}

/** About `count` round numbers from `low` to `high`. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.75);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** An empty pair of axes; `x` and `y` map values to pixels. */
function axes(host, { title, width, height, xs, ys, xTicks, yTicks, xText, yText, xLabel, log, left = 50 }) {
  const right = 12, top = 24, bottom = 38;
  const to = log ? Math.log : (v) => v;
  const x = (v) => left + ((to(v) - to(xs[0])) / (to(xs[1]) - to(xs[0]) || 1)) * (width - left - right);
  const y = (v) => height - bottom - ((v - ys[0]) / (ys[1] - ys[0] || 1)) * (height - top - bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  const clip = unique();
  svg("rect", { x: left, y: top - 4, width: width - left - right + 6, height: height - top - bottom + 8 },
    svg("clipPath", { id: clip }, svg("defs", {}, root)));
  svg("text", { class: "title", x: left > 20 ? 4 : left, y: 14 }, root, title);
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

/** Calls `draw` now, whenever the element's width changes, and when one of the model's `names` does. */
function follow(model, names, host, draw) {
  const events = names.map((name) => `change:${name}`);
  let width = 0;
  const observer = new ResizeObserver(() => host.clientWidth !== width && ((width = host.clientWidth), draw()));
  for (const event of events) model.on(event, draw);
  observer.observe(host);
  draw();
  return () => {
    observer.disconnect();
    for (const event of events) model.off(event, draw);
  };
}
