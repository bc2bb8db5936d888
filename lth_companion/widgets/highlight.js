// The front end of highlight.Highlight: many lines, one of them in front.

function render({ model, el }) {
  const { groups, columns } = model.get("data");
  const root = html("div", { className: "lth lth-widget lth-highlight" }, el);
  const choices = html("div", { className: "controls" }, root);
  const select = choice(choices, "What varies", groups.map((g) => [g.id, g.name]));
  select.parentNode.hidden = groups.length === 1;
  const { label, input: slider, row } = control(root, "", "input", { type: "range", min: 0, step: 1 });
  const ends = html("div", { className: "ends", ariaHidden: "true" }, row);
  const [first, last] = [html("span", {}, ends), html("span", {}, ends)];
  const pick = choice(choices, "", []);
  const says = html("p", { className: "says" }, root);
  const charts = html("div", { className: "charts" }, root);
  const hosts = columns.map(() => html("div", { className: "chart pick" }, charts));
  const caption = html("p", { className: "caption" }, root);

  const group = () => groups.find((g) => g.id === model.get("group")) ?? groups[0];
  const at = () => {
    const labels = group().lines.map((l) => l.label), asked = labels.indexOf(model.get("line"));
    return asked >= 0 ? asked : labels.indexOf(group().start);
  };
  const text = (column, v) => (column.time ? Math.round(v).toLocaleString("en") : `${+(100 * v).toFixed(2)}%`);
  const size = (v) => (group().x.startsWith("percent") ? percent(v) : `${Math.round(v).toLocaleString("en")} weights`);

  /** What the chosen line says about a column: how it starts, its best level, and how far down it does as well. */
  function told(column, { x, values }) {
    const known = x.map((v, i) => [v, values[column.name][i]?.[0]]).filter(([, v]) => finite(v));
    if (!known.length) return `${column.title}: no network has one.`;
    const better = (a, b) => (column.time ? a < b : a > b), as = column.time ? "early" : "accurate";
    const [whole, start] = known[0], best = known.reduce((a, b) => (better(b[1], a[1]) ? b : a));
    const [smallest] = known.findLast(([, v]) => !better(start, v));
    if (smallest === whole) return `${column.title}: ${text(column, start)} at ${size(whole)}; no smaller network is as ${as}.`;
    const most = `${column.time ? "earliest" : "best"} ${text(column, best[1])} at ${size(best[0])}`;
    return `${column.title}: ${text(column, start)} at ${size(whole)}; ${most}; the smallest network as ${as} as the unpruned one has ${size(smallest)}.`;
  }

  function limits(column) {
    const means = group().lines.flatMap((l) => l.values[column.name].filter(Boolean).map(([mean]) => mean));
    if (!means.length) return [0, 1];
    const low = Math.min(...means), high = Math.max(...means);
    if (column.time) return [0, 1.05 * high];
    const bottom = Math.max(low - 0.08 * (high - low), high - column.below);
    return [bottom, Math.min(1, high + (high - bottom) / 12)];
  }

  function drawColumn(column, host) {
    const { lines, x: xLabel, log } = group(), width = host.clientWidth;
    const sizes = [...new Set(lines.flatMap((l) => l.x))].sort((a, b) => b - a);
    const most = sizes[0], least = sizes[sizes.length - 1], ys = limits(column);
    const marks = log ? sizes : [100, 80, 60, 40, 20, 0];
    const chart = axes(host, {
      title: column.title, width, height: 260, log, xs: log ? [most * 1.08, least / 1.08] : [102, 0], ys,
      xTicks: marks, yTicks: ticks(...ys, 5), xText: (v) => (v > 100 ? `${+(v / 1000).toPrecision(2)}k` : `${+v.toPrecision(v >= 10 ? 3 : 2)}`),
      yText: (v) => text(column, v), xLabel,
    });
    const order = [...lines.keys()].sort((a, b) => (a === at()) - (b === at())); // the chosen one last, on top
    for (const i of order) {
      const { x, values, color, label: name } = lines[i], points = values[column.name], front = i === at();
      const keep = x.map((_, k) => k).filter((k) => points[k]);
      const edge = (ks, side) => ks.map((k) => `${chart.x(x[k]).toFixed(1)} ${chart.y(points[k][side]).toFixed(1)}`).join("L");
      if (front && keep.length) svg("path", { class: "band", d: `M${edge(keep, 2)}L${edge([...keep].reverse(), 1)}Z`, fill: color }, chart.plot);
      svg("path", { class: front ? "line front" : "line other", "data-line": name, stroke: color, d: path(chart.x, chart.y, x, points.map((p) => (p ? p[0] : null))) }, chart.plot);
      if (front) for (const k of keep) svg("circle", { cx: chart.x(x[k]), cy: chart.y(points[k][0]), r: 3, fill: color }, chart.plot);
    }
    chart.root.setAttribute("aria-label", `${column.title} against ${xLabel}, ${lines.length} lines. In front, ${group().of} ${lines[at()].label}: ${told(column, lines[at()])}`);
    host.onclick = (event) => {
      const box = chart.root.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * width, py = ((event.clientY - box.top) / box.height) * 260;
      const far = lines.map(({ x, values }) => Math.min(Infinity, ...x.map((v, k) => (values[column.name][k] ? Math.hypot(chart.x(v) - px, chart.y(values[column.name][k][0]) - py) : Infinity))));
      choose("line", lines[far.indexOf(Math.min(...far))].label);
    };
  }

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  function draw() {
    const { lines, of, ordered, id, caption: scale } = group(), line = lines[at()];
    select.value = id;
    row.hidden = !ordered;
    pick.parentNode.hidden = ordered;
    choices.hidden = ordered && groups.length === 1;
    if (ordered) {
      slider.max = String(lines.length - 1);
      slider.value = String(at());
      label.textContent = `${of[0].toUpperCase()}${of.slice(1)}: ${line.label}`;
      slider.setAttribute("aria-valuetext", `${of} ${line.label}`);
      first.textContent = lines[0].label;
      last.textContent = lines[lines.length - 1].label;
    } else {
      if (pick.options.length !== lines.length) pick.replaceChildren(...lines.map((l) => html("option", { value: l.label }, null, l.label)));
      pick.previousSibling.textContent = of[0].toUpperCase() + of.slice(1);
      pick.value = line.label;
    }
    says.textContent = columns.map((column) => told(column, line)).join(" ");
    caption.textContent = `In front: the chosen line, its band from the smallest to the largest trial. Press a line to choose it. ${scale}`;
    if (charts.clientWidth) columns.forEach((column, i) => drawColumn(column, hosts[i]));
  }

  select.addEventListener("change", () => choose("group", select.value));
  slider.addEventListener("input", () => choose("line", group().lines[+slider.value].label));
  pick.addEventListener("change", () => choose("line", pick.value));
  return follow(model, ["group", "line"], charts, draw);
}

export default { render };
