// What is left of a network: share of each layer, connections of each pixel, and which initial weights survive.

/** The trials that are shown: one, or all of them. */
const chosen = (parts, trial, all) => (trial === null ? all.map((_, i) => parts[i]) : [parts[all.indexOf(trial)]]);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** One bar a layer: how many of its weights are left. */
function drawLayers(host, layers, kept, color) {
  const width = host.clientWidth, line = 19, name = 104, number = 132;
  const root = svg("svg", { viewBox: `0 0 ${width} ${22 + line * layers.length}`, height: 22 + line * layers.length, role: "img" });
  svg("text", { class: "title", x: 0, y: 12 }, root, "What is left of each layer");
  const said = layers.map(({ name: label, weights: all }, i) => {
    const y = 22 + line * i, share = percent((100 * kept[i]) / all), long = width - name - number;
    svg("text", { x: 0, y: y + 11 }, root, `${label}: ${share}`);
    svg("rect", { class: "trough", x: name + 0.5, y: y + 0.5, width: long - 1, height: 12 }, root);
    svg("rect", { x: name, y, width: Math.max(1, (long * kept[i]) / all), height: 13, fill: color }, root);
    svg("text", { x: width, y: y + 11, "text-anchor": "end" }, root, `${Math.round(kept[i]).toLocaleString("en")} of ${all.toLocaleString("en")}`);
    return `${label} ${share}`;
  });
  root.setAttribute("aria-label", `Share of the weights that each layer keeps: ${said.join(", ")}.`);
  host.replaceChildren(root);
}

function anatomy(data, host) {
  const { layers, side, units, shades, zero, reach } = data.anatomy;
  const color = data.arms[data.order[0]].color;
  const boxes = html("div", { className: "anatomy" }, host);
  const [map, weights] = ["map", "weights"].map((name) => html("div", { className: `chart ${name}` }, boxes));

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

  return (round, trial) => [drawMap, drawWeights].forEach((draw) => draw(String(round), trial));
}
