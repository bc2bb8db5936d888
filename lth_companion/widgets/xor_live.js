// The front end of lth_companion.widgets.XorLive. ENGINE, the text of xor_engine.js, is put in front by xor_live.py.
const SHOWN = 12, FINE = 24; // networks with a map; points to a side of it
const CRITERIA = [["product", "product"], ["input", "input weights"], ["output", "output weight"], ["random", "nothing: blind"]];
const SCHEDULES = [["iterative", "two at a time"], ["one-shot 4", "at once, to 4"], ["one-shot 2", "at once, to 2"]];
const WORDS = { right: "boundary", zero: "zero loss" };

/** Wilson's 95% interval of k successes in n, in percent. */
function wilson(k, n) {
  const z = 1.959964, p = k / n, shrink = 1 / (1 + (z * z) / n);
  const middle = shrink * (p + (z * z) / (2 * n)), half = z * shrink * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [100 * Math.max(0, middle - half), 100 * Math.min(1, middle + half)];
}

/** How sure a network is of class 1, over the square that the four points lie in; filled points belong to class 1. */
function drawMap(canvas, sure) {
  const context = canvas.getContext("2d"), size = canvas.width, cell = size / FINE;
  const place = (v) => ((v + 0.3) / 1.6) * size;
  context.clearRect(0, 0, size, size);
  sure.forEach((p, i) => {
    context.fillStyle = `rgba(0, 0, 0, ${(0.45 * p).toFixed(2)})`; // dark pages invert it
    context.fillRect((i % FINE) * cell, size - (Math.floor(i / FINE) + 1) * cell, cell + 0.02, cell + 0.02);
  });
  context.lineWidth = 2;
  for (const [x, y, right] of [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) {
    context.beginPath();
    context.arc(place(x), size - place(y), 5, 0, 7);
    context.fillStyle = right ? "#000" : "#fff";
    context.fill();
    context.stroke();
  }
}

function render({ model, el }) {
  const data = model.get("data");
  const worker = new Worker(URL.createObjectURL(new Blob([ENGINE], { type: "text/javascript" })));
  let run = 0, stage = null, stages = [], parents = null, going = false, queue = 0;

  const root = html("div", { className: "lth lth-widget lth-xor" }, el);
  const { label, input: slider } = control(root, "", "input", { type: "range", min: 2, max: 10, step: 2 });
  const choices = html("div", { className: "controls" }, root);
  const inputs = {
    criterion: choice(choices, "Units are kept by", CRITERIA),
    schedule: choice(choices, "Pruning", SCHEDULES),
    lr: choice(choices, "Learning rate", [0.02, 0.1, 0.3, 1].map((v) => [v, v])),
    networks: choice(choices, "Networks", [100, 300, 500, 1000].map((v) => [v, v])),
  };
  const buttons = html("div", { className: "buttons" }, root);
  const train = html("button", { type: "button", className: "first" }, buttons, "Draw and train");
  const prune = html("button", { type: "button" }, buttons);
  const all = html("button", { type: "button" }, buttons, "All rounds");
  const stop = html("button", { type: "button" }, buttons, "Stop");
  for (const button of [train, prune, all, stop]) button.dataset.lmSuppressShortcuts = "true";
  const bar = html("progress", { max: 1, value: 0, ariaLabel: "Training" }, root);
  const counter = html("p", { className: "says" }, root);
  const said = html("p", { className: "quiet", role: "status" }, root);
  const maps = html("div", { className: "maps" }, root);
  const figures = Array.from({ length: SHOWN }, () => {
    const figure = html("div", {}, maps);
    const canvas = html("canvas", { width: 144, height: 144 }, figure);
    canvas.setAttribute("role", "img");
    return { canvas, text: html("span", {}, figure) };
  });
  html("p", { className: "note" }, root, `The first ${SHOWN} networks. The stronger the grey, the surer of class 1. Filled points belong to class 1, hollow ones to class 0.`);
  const table = html("table", {}, root);

  const keeps = () => {
    const [kind, to] = model.get("schedule").split(" "), hidden = model.get("hidden");
    if (kind === "one-shot") return hidden > +to ? [+to] : [];
    return Array.from({ length: Math.max(0, hidden / 2 - 1) }, (_, i) => hidden - 2 * (i + 1));
  };
  const next = () => keeps()[stages.length - 1];
  const judged = ({ loss, margin }) => ({ right: margin > -data.tie, zero: loss < data.zero_loss });

  /** What lth_core measured, and the paper printed, for the i-th stage. */
  function beside(i, hidden, success) {
    if (i === 0) return data.rows["random networks"]?.[hidden]?.[success];
    if (model.get("hidden") !== 10) return undefined; // both prune ten units only
    return data.rows[`${model.get("schedule").split(" ")[0]} ${model.get("criterion")}`]?.[hidden]?.[success];
  }

  function drawTable() {
    const cell = (row, middle, low, high) => {
      const made = html("td", {}, row, finite(middle) ? `${middle.toFixed(1)}% ` : "–");
      if (finite(low)) html("small", {}, made, `(${low.toFixed(1)}–${high.toFixed(1)})`);
    };
    const head = html("tr", {}, html("thead", {}, null));
    for (const name of ["units", "success", "this page", "lth_core", "paper"]) html("th", { scope: "col" }, head, name);
    const body = html("tbody", {}, null);
    [model.get("hidden"), ...keeps()].forEach((hidden, i) => {
      for (const success of ["right", "zero"]) {
        const row = html("tr", {}, body), there = beside(i, hidden, success), mine = stages[i];
        html("th", { scope: "row" }, row, hidden);
        html("td", {}, row, WORDS[success]);
        cell(row, ...(mine ? [(100 * mine[success]) / mine.n, ...wilson(mine[success], mine.n)] : []));
        cell(row, there?.measured, there?.low, there?.high);
        cell(row, there?.paper);
      }
    });
    const caption = html("caption", {}, null, `Percent of trials, with 95% intervals. Boundary: all four points on their side, ties allowed. A ticket counts where its parent succeeds too. lth_core: ${data.iterations.toLocaleString("en")} iterations at learning rate ${data.lr}.`);
    table.replaceChildren(caption, head.parentNode, body);
  }

  function enable() {
    prune.textContent = next() ? `Prune to ${next()}, rewind, retrain` : "Nothing left to prune";
    prune.disabled = going || !stages.length || !next();
    for (const button of [train, all]) button.disabled = going;
    stop.disabled = !going;
    bar.hidden = !going;
  }

  function send(what, hidden) {
    stage = { hidden, iterations: what.iterations, first: what.do === "draw" };
    going = what.iterations > 0;
    worker.postMessage({ shown: SHOWN, fine: FINE, lr: model.get("lr"), criterion: model.get("criterion"), run: ++run, ...what });
    enable();
  }

  /** New networks; with `iterations` they train. */
  function begin(iterations) {
    stages = [];
    parents = null;
    send({ do: "draw", count: model.get("networks"), hidden: model.get("hidden"), seed: model.get("seed"), iterations }, model.get("hidden"));
    drawTable();
  }

  worker.onmessage = ({ data: { run: of, iteration, done, outcomes, maps: pictures } }) => {
    if (of !== run) return;
    const own = outcomes.map(judged);
    const both = own.map((o, i) => (parents && !stage.first ? { right: o.right && parents[i].right, zero: o.zero && parents[i].zero } : o));
    const [right, zero] = ["right", "zero"].map((k) => both.filter((o) => o[k]).length);
    counter.textContent = `${stage.hidden} hidden units, iteration ${iteration.toLocaleString("en")}: ${zero} of ${own.length} at zero loss, ${right} with the right boundary`;
    bar.value = iteration / (stage.iterations || 1);
    pictures.forEach((sure, i) => {
      drawMap(figures[i].canvas, sure);
      const { loss } = outcomes[i], text = own[i].zero ? "zero loss" : own[i].right && iteration ? "ties" : `loss ${loss.toFixed(2)}`;
      figures[i].text.textContent = text;
      figures[i].canvas.setAttribute("aria-label", `Network ${i + 1}: ${text}`);
    });
    if (!done) return;
    going = false;
    if (stage.iterations) {
      if (stage.first) parents = own;
      stages.push({ hidden: stage.hidden, right, zero, n: own.length });
      said.textContent = counter.textContent;
      model.set("result", stages.map((s) => ({ ...s })));
      model.save_changes();
      drawTable();
      if (queue && next()) return cut();
    }
    queue = 0;
    enable();
  };

  const cut = () => send({ do: "prune", keep: next(), iterations: data.iterations }, next());
  const fresh = (rounds) => {
    queue = rounds;
    if (stages.length) model.set("seed", model.get("seed") + 1);
    else begin(data.iterations);
  };
  train.onclick = () => fresh(0);
  all.onclick = () => fresh(1);
  prune.onclick = cut;
  stop.onclick = () => {
    queue = going = run = 0;
    worker.postMessage({ do: "stop" });
    begin(0);
  };
  slider.addEventListener("input", () => choose("hidden", +slider.value));
  for (const [name, input] of Object.entries(inputs))
    input.addEventListener("change", () => choose(name, ["lr", "networks"].includes(name) ? +input.value : input.value));
  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  const reset = () => {
    slider.value = String(model.get("hidden"));
    label.textContent = `${model.get("hidden")} hidden units to begin with`;
    slider.setAttribute("aria-valuetext", label.textContent);
    for (const [name, input] of Object.entries(inputs)) input.value = String(model.get(name));
    queue = 0;
    begin(0);
  };
  const again = () => (model.save_changes(), begin(data.iterations)); // another seed: the same again
  const names = ["hidden", ...Object.keys(inputs)];
  for (const name of names) model.on(`change:${name}`, reset);
  model.on("change:seed", again);
  reset();
  return () => {
    worker.terminate();
    for (const name of names) model.off(`change:${name}`, reset);
    model.off("change:seed", again);
  };
}

export default { render };
