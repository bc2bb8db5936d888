// What is left of a network: connections of each pixel, share of each layer, and which initial weights survive.

/** The trials that are shown: one, or all of them. */
const chosen = (parts, trial, all) => (trial === null ? all.map((_, i) => parts[i]) : [parts[all.indexOf(trial)]]);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function anatomy(data, host) {
  const { layers, side, units, shades, zero, reach } = data.anatomy;
  const color = data.arms[data.order[0]].color;
  html("p", { className: "part" }, host, "What is left of it");
  const boxes = html("div", { className: "anatomy" }, host);
  const [map, bars, weights] = ["map", "bars", "weights"].map((name) => html("div", { className: `chart ${name}` }, boxes));

  html("p", { className: "title" }, map, "Connections of each pixel");
  const picture = svg("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", class: "pixels" }, map);
  picture.style.color = color;
  const pixels = Array.from({ length: side * side }, (_, i) =>
    svg("rect", { x: i % side, y: Math.floor(i / side), width: 1.02, height: 1.02, fill: "currentColor" }, picture));
  const most = html("p", { className: "note" }, map);

  function drawMap(round, trial) {
    const maps = chosen(data.anatomy.map, trial, data.trials).map((one) => one[round]);
    const count = pixels.map((_, i) => mean(maps.map(([top, text]) => ((text.charCodeAt(i) - zero) * top) / (shades - 1))));
    const top = Math.max(...count, 1e-9);
    pixels.forEach((pixel, i) => pixel.setAttribute("fill-opacity", (count[i] / top).toFixed(3)));
    const empty = count.filter((c) => c < 0.5).length;
    most.textContent = `Strongest colour: ${Math.round(top)} of ${units} connections are left. ${empty} of ${side * side} pixels have none.`;
    picture.setAttribute("aria-label", `Map of the ${side} by ${side} input pixels. ${most.textContent}`);
  }

  function drawBars(round, trial) {
    const kept = chosen(data.anatomy.kept, trial, data.trials).map((one) => one[round]);
    const rows = layers.map((layer, i) => ({ ...layer, left: mean(kept.map((k) => k[i])) }));
    const width = bars.clientWidth, line = 46;
    const root = svg("svg", { viewBox: `0 0 ${width} ${24 + line * rows.length}`, height: 24 + line * rows.length, role: "img" });
    svg("text", { class: "title", x: 0, y: 14 }, root, "Share of each layer");
    rows.forEach(({ name, weights: all, left }, i) => {
      const y = 24 + line * i;
      svg("text", { x: 0, y: y + 13 }, root, `${name}: ${percent((100 * left) / all)}`);
      svg("text", { x: width, y: y + 13, "text-anchor": "end" }, root, `${Math.round(left).toLocaleString("en")} weights`);
      svg("rect", { class: "trough", x: 0.5, y: y + 19.5, width: width - 1, height: 12 }, root);
      svg("rect", { x: 0, y: y + 19, width: Math.max(1, (width * left) / all), height: 13, fill: color }, root);
    });
    const said = rows.map(({ name, weights: all, left }) => `${name} ${percent((100 * left) / all)}`).join(", ");
    root.setAttribute("aria-label", `Share of the weights that each layer keeps: ${said}.`);
    bars.replaceChildren(root);
  }

  function drawWeights(round, trial) {
    const sets = chosen(data.anatomy.weights, trial, data.trials);
    const width = weights.clientWidth, gap = 14, each = (width - gap * (layers.length - 1)) / layers.length, height = 120;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height + 62}`, height: height + 62, role: "img" });
    svg("text", { class: "title", x: 0, y: 14 }, root, "Initial weights of the survivors");
    const said = [];
    layers.forEach(({ name, sd }, layer) => {
      const total = (r) => sets.map((one) => one[r][layer]).reduce((a, b) => a.map((v, i) => v + b[i]));
      const share = (counts) => counts.map((c) => c / Math.max(1, counts.reduce((a, b) => a + b, 0)));
      const now = share(total(round)), start = share(total("0"));
      const top = 1.05 * Math.max(...now, ...start), left = layer * (each + gap), step = each / now.length;
      const y = (v) => 42 + height - (v / top) * height;
      svg("text", { x: left, y: 34 }, root, name);
      now.forEach((v, i) => svg("rect", { x: left + i * step, y: y(v), width: Math.max(0.6, step - 0.6), height: 42 + height - y(v), fill: color }, root));
      svg("path", { class: "line reference", d: start.map((v, i) => `${i ? "L" : "M"}${left + i * step} ${y(v)}h${step}`).join("") }, root);
      svg("path", { class: "axis", d: `M${left} ${42 + height}h${each}` }, root);
      for (const [at, anchor] of [[-1, "start"], [0, "middle"], [1, "end"]])
        svg("text", { x: left + (each * (at + 1)) / 2, y: height + 57, "text-anchor": anchor }, root, at ? (at * reach * sd).toFixed(2).replace("-", "−") : "0");
      const middle = (v) => v.filter((_, i) => Math.abs(i + 0.5 - v.length / 2) < v.length / 12).reduce((a, b) => a + b, 0);
      said.push(`${name}: ${accuracy(middle(now))} lie within half a standard deviation of 0, of all initial weights ${accuracy(middle(start))}`);
    });
    root.setAttribute("aria-label", `Histograms of the initial values of the weights that survive. ${said.join("; ")}.`);
    weights.replaceChildren(root, html("p", { className: "note" }, null, "Filled: survivors. Line: all initial weights. Both as shares of their own number."));
  }

  return (round, trial) => [drawMap, drawBars, drawWeights].forEach((draw) => draw(String(round), trial));
}
