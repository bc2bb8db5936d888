// The front end of by_round.ByRound: a slider over rounds, and what is inside the ticket of each.

/** Histograms of connections per unit, one panel a layer, as shares of the layer's units. */
function drawConnections(host, title, names, histograms, most, color) {
  const width = host.clientWidth, gap = 14, each = (width - gap * (names.length - 1)) / names.length, height = 84;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height + 62}`, height: height + 62, role: "img" }), said = [];
  svg("text", { class: "title", x: 0, y: 14 }, root, title);
  histograms.forEach((counts, layer) => {
    const total = counts.reduce((a, b) => a + b, 0), share = counts.map((c) => c / total), top = 1.05 * Math.max(...share);
    const left = layer * (each + gap), step = each / counts.length, base = 42 + height;
    svg("text", { x: left, y: 34 }, root, names[layer]);
    share.forEach((v, i) => svg("rect", { x: left + i * step, y: base - (v / top) * height, width: Math.max(0.6, step - 0.6), height: (v / top) * height, fill: color }, root));
    svg("path", { class: "here", d: `M${left + each / most} 38V${base}` }, root);
    svg("path", { class: "axis", d: `M${left} ${base}h${each}` }, root);
    for (const [at, text, anchor] of [[0, "0", "start"], [1, "mean", "middle"], [most, `${most}×`, "end"]])
      svg("text", { x: left + (each * at) / most, y: base + 15, "text-anchor": anchor }, root, text);
    const few = share.slice(0, Math.round(counts.length / most / 2)).reduce((a, b) => a + b, 0);
    said.push(`${names[layer]}: ${accuracy(few)} of the units have less than half of the mean`);
  });
  root.setAttribute("aria-label", `${title}. ${said.join("; ")}.`);
  host.replaceChildren(root);
}

function render({ model, el }) {
  const { groups, senders, receivers, most } = model.get("data");
  const root = html("div", { className: "lth lth-widget lth-by-round" }, el);
  const { label, input: slider, row } = control(root, "", "input", { type: "range", min: 0, step: 1 });
  const ends = html("div", { className: "ends", ariaHidden: "true" }, row);
  const last = ["100%", "more rounds of pruning →", ""].map((text) => html("span", {}, ends, text))[2];
  const choices = html("div", { className: "controls" }, root);
  const kind = choice(choices, "Trained with", groups.map((g) => [g.id, g.name]));
  const trials = choice(choices, "Trials", [["", "all together"], ...groups[0].trials.map((t, i) => [t, `only number ${i + 1}`])]);
  const charts = html("div", { className: "parts" }, root);
  const insides = groups.map((g) => {
    const host = html("div", {}, charts);
    return { host, draw: anatomy(g, host) };
  });
  const [into, out] = ["chart", "chart"].map((className) => html("div", { className }, charts));
  html("p", { className: "note" }, root, "Connections of units: how many units have how many, from none to four times the mean of their layer; all trials together.");
  const caption = html("p", { className: "caption" }, root);

  const group = () => groups.find((g) => g.id === model.get("group")) ?? groups[0];
  const at = () => Math.min(group().rounds.length - 1, model.get("round"));

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  function draw() {
    const g = group(), { round, percent: left } = g.rounds[at()], trial = g.trials.includes(model.get("trial")) ? model.get("trial") : null;
    slider.max = String(g.rounds.length - 1);
    slider.value = String(at());
    label.textContent = round ? `Round ${round}: ${percent(left)} of weights remaining` : "The unpruned network";
    slider.setAttribute("aria-valuetext", label.textContent);
    last.textContent = percent(g.rounds[g.rounds.length - 1].percent);
    kind.value = g.id;
    trials.value = trial === null ? "" : String(trial);
    insides.forEach(({ host }, i) => (host.hidden = groups[i] !== g));
    caption.textContent = g.caption;
    if (!charts.clientWidth) return;
    insides[groups.indexOf(g)].draw(round, trial);
    const { color } = g.arms.ticket, { incoming, outgoing } = g.connections;
    drawConnections(into, "Connections into each unit", receivers, incoming[round], most, color);
    drawConnections(out, "Connections out of each pixel and unit", senders, outgoing[round], most, color);
  }

  slider.addEventListener("input", () => choose("round", +slider.value));
  kind.addEventListener("change", () => choose("group", kind.value));
  trials.addEventListener("change", () => choose("trial", trials.value === "" ? null : +trials.value));
  return follow(model, ["group", "round", "trial"], charts, draw);
}

export default { render };
