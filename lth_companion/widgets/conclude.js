// The front end of lth_core.conclude.Conclude: what would have been concluded from fewer trials, or from more?
const SAYS = ["that the ticket's is higher", "that the ticket's is lower", "nothing: the interval includes no difference"];

function render({ model, el }) {
  const { levels, counts, titles, against, nothing, trials, paper_trials, resamples, color, caption } = model.get("data");
  const root = html("div", { className: "lth lth-widget lth-conclude" }, el);
  const { label, input: slider, row } = control(root, "", "input", { type: "range", min: 0, max: counts.length - 1, step: 1 });
  const ends = html("div", { className: "ends", ariaHidden: "true" }, row);
  for (const text of [counts[0], "more trials →", counts[counts.length - 1]]) html("span", {}, ends, text);
  const choices = html("div", { className: "controls" }, root);
  const level = choice(choices, "Weights remaining", levels.map((l, i) => [i, percent(l.percent)]));
  const other = choice(choices, "Ticket against", Object.entries(against));
  const charts = html("div", { className: "charts" }, root);
  const hosts = Object.keys(titles).map((name) => [name, html("div", {}, charts)]);
  for (const [, host] of hosts) for (const part of ["labs", "power", "says"]) host[part] = html(part === "says" ? "p" : "div", { className: part === "says" ? "says" : "chart" }, host);
  if (caption) html("p", { className: "caption" }, root, `${resamples} experiments were drawn for each number of trials, ${counts.length} numbers in all; the pictures show the first of them. ${caption}`);

  const here = () => Math.max(0, counts.indexOf(model.get("trials")));
  const part = (name, i = model.get("level")) => levels[i]?.[model.get("against")]?.[name];

  function drawLabs(name, host, width) {
    const found = part(name).counts[counts[here()]];
    if (!found) return void host.replaceChildren("not measured");
    const seen = counts.flatMap((n) => part(name).counts[n].labs.flat()).concat(nothing[name]); // one axis for all n
    const low = Math.min(...seen), high = Math.max(...seen), margin = 0.04 * (high - low || 1);
    const rows = found.labs.length;
    const chart = axes(host, {
      title: titles[name], width, height: 62 + 10 * rows, left: 12, xs: [low - margin, high + margin], ys: [0, rows],
      xTicks: ticks(low, high, width < 360 ? 4 : 6), yTicks: [], xText: (v) => `${+v.toPrecision(3)}`.replace("-", "−"), yText: String,
      xLabel: name === "gap" ? "points of accuracy" : "% of the other's iteration",
    });
    svg("path", { class: "here", d: `M${chart.x(nothing[name])} 22V${24 + 10 * rows}`, "stroke-width": 2 }, chart.root);
    found.labs.forEach(([middle, bottom, top], i) => {
      const sure = bottom > nothing[name] || top < nothing[name];
      const look = sure ? { stroke: color } : { stroke: "currentColor", "stroke-opacity": 0.55, "stroke-dasharray": "3 2" };
      const y = chart.y(rows - i - 0.5);
      svg("path", { class: "lab", d: `M${chart.x(bottom)} ${y}H${chart.x(top)}`, "stroke-width": 2.5, ...look }, chart.plot);
      svg("circle", { cx: chart.x(middle), cy: y, r: 3, fill: sure ? color : "currentColor" }, chart.plot);
    });
    const sure = found.labs.filter(([, b, t]) => b > nothing[name] || t < nothing[name]).length;
    chart.root.setAttribute("aria-label", `${rows} experiments with ${counts[here()]} trials each, ${titles[name]}: the 95% interval of ${sure} excludes no difference; median width ${found.width}.`);
  }

  function drawPower(name, host, width) {
    const share = (n) => { const [above, below] = part(name).counts[n].says; return above + below; };
    const chart = axes(host, {
      title: "Experiments that see a difference", width, height: 150, log: true, xs: [counts[0] / 1.1, counts[counts.length - 1] * 1.1], ys: [0, 1.04],
      xTicks: counts, yTicks: [0, 0.5, 1], xText: String, yText: (v) => `${100 * v}%`, xLabel: "trials",
    });
    svg("path", { class: "here", d: `M${chart.x(counts[here()])} 20V112` }, chart.root);
    svg("path", { class: "line", stroke: color, d: path(chart.x, chart.y, counts, counts.map(share)) }, chart.plot);
    counts.forEach((n, i) => svg("circle", { cx: chart.x(n), cy: chart.y(share(n)), r: i === here() ? 5.5 : 2.5, fill: color }, chart.plot));
    chart.root.setAttribute("aria-label", `Share of experiments whose interval excludes no difference: ${counts.map((n) => `${accuracy(share(n))} with ${n} trials`).join(", ")}.`);
    host.onclick = (event) => {
      const box = chart.root.getBoundingClientRect(), clicked = ((event.clientX - box.left) / box.width) * width;
      const near = counts.map((n) => Math.abs(chart.x(n) - clicked));
      choose("trials", counts[near.indexOf(Math.min(...near))]);
    };
  }

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  function draw() {
    const n = counts[here()];
    slider.value = String(here());
    level.value = String(model.get("level"));
    other.value = model.get("against");
    const notes = [n === trials && "as many as this page measured", n === paper_trials && "as many as the paper"].filter(Boolean);
    label.textContent = `${n} trials${notes.length ? `: ${notes.join(", ")}` : ""}`;
    slider.setAttribute("aria-valuetext", `${n} trials`);
    if (!charts.clientWidth) return;
    for (const [name, host] of hosts) {
      const found = part(name).counts[n];
      drawLabs(name, host.labs, host.clientWidth);
      if (!found) continue;
      drawPower(name, host.power, host.clientWidth);
      const said = found.says.map((share, i) => [share, SAYS[i]]).filter(([share]) => share > 0).sort((a, b) => b[0] - a[0]);
      host.says.textContent = said.map(([share, text]) => `${Math.round(100 * share)}% conclude ${text}`).join("; ") + ".";
    }
  }

  slider.addEventListener("input", () => choose("trials", counts[+slider.value]));
  level.addEventListener("change", () => choose("level", +level.value));
  other.addEventListener("change", () => choose("against", other.value));
  return follow(model, ["trials", "level", "against"], charts, draw);
}

export default { render };
