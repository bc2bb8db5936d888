// The front end of train_here.TrainHere. ENGINE, the text of the worker's files, is put in front by train_here.py.
const PATIENCE = 120; // milliseconds between two drawings, at least
const REST = 3; // and at least so many times what the last one took: the page answers meanwhile

/** Workers that train rows: `start(task, parent, heard)` trains one as soon as a worker is free, lower `urgency` first. */
function crew(data) {
  const count = Math.min(4, Math.max(1, navigator.hardwareConcurrency ?? 2));
  const url = URL.createObjectURL(new Blob([ENGINE], { type: "text/javascript" }));
  const workers = [], waiting = [];
  let paused = false, ids = 0;
  const free = () => workers.find((w) => !w.heard) ?? (workers.length < count ? hire() : undefined);
  function hire() {
    const worker = new Worker(url);
    worker.postMessage({ do: "data", pool: data.pool, test: data.test, levels: data.levels });
    worker.onmessage = ({ data: said }) => {
      const { heard } = worker;
      if (said.point) worker.postMessage({ do: "heard" });
      if (said.trained) worker.heard = null;
      heard?.(said);
      next();
    };
    workers.push(worker);
    return worker;
  }
  function next() {
    for (let worker; waiting.length && (worker = free()); ) {
      waiting.sort((a, b) => a.urgency - b.urgency);
      const { task, parent, heard } = waiting.shift();
      worker.heard = heard;
      worker.postMessage({ do: "train", id: ++ids, task, parent, paused });
    }
  }
  return {
    start(task, parent, urgency, heard) {
      waiting.push({ task, parent, urgency, heard });
      next();
    },
    pause(now) {
      paused = now;
      for (const worker of workers) worker.postMessage({ do: paused ? "pause" : "go" });
    },
    dismiss() {
      for (const worker of workers) worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

/** The row of results of a finished network: early stopping where validation loss is smallest. */
function judged({ task, percent: left, curve }) {
  const stop = curve.reduce((best, point) => (point.loss < best.loss ? point : best));
  const { trial, round, arm } = task;
  return { trial, round, arm, percent: left, stop_iteration: stop.iteration, stop_test: stop.test, end_test: curve[curve.length - 1].test };
}

function render({ model, el }) {
  const data = model.get("data"), { colors, names } = data;
  const SETTINGS = ["rate", "rounds", "lr", "width", "between", "beside", "trials"];
  let team = null, networks = new Map(), total = 0, done = 0, state = "ready", followed = true, shown = 0, timer = 0, rested = 0;

  const root = html("div", { className: "lth lth-widget lth-train" }, el);
  const sliders = html("div", { className: "controls" }, root);
  const slider = (name, stops) => {
    const made = control(sliders, "", "input", { type: "range", min: 0, max: stops.length - 1, step: 1 });
    made.input.addEventListener("input", () => choose(name, stops[+made.input.value]));
    return { ...made, stops };
  };
  const rate = slider("rate", data.rates), rounds = slider("rounds", data.rounds);
  const choices = html("div", { className: "controls" }, root);
  const picks = {
    lr: choice(choices, "Learning rate", data.lrs.map((v) => [v, v])),
    width: choice(choices, "Hidden units", data.widths.map((w) => [w, w.replace("-", " and ")])),
    trials: choice(choices, "Trials at once", data.trials.map((n) => [n, n])),
    between: choice(choices, "Each round", [["rewind", "rewinds"], ["continue", "carries on"]]),
    beside: choice(choices, "Beside it", [["reinit", "reinitialised"], ["nothing", "nothing"]]),
  };
  for (const [name, input] of Object.entries(picks))
    input.addEventListener("change", () => choose(name, ["lr", "trials"].includes(name) ? +input.value : input.value));
  const buttons = html("div", { className: "buttons" }, root);
  const [train, pause, reset] = ["Train", "Pause", "Reset"].map((text) => html("button", { type: "button" }, buttons, text));
  train.className = "first";
  for (const button of [train, pause, reset]) button.dataset.lmSuppressShortcuts = "true";
  const bar = html("progress", { max: 1, value: 0, ariaLabel: "Training" }, root);
  const says = html("p", { className: "says" }, root);
  const quiet = html("p", { className: "quiet", role: "status" }, root);
  const legend = html("div", { className: "legend" }, root);
  const seek = control(root, "", "input", { type: "range", min: 0, max: 1, step: 1 });
  seek.input.addEventListener("input", () => { followed = false; shown = +seek.input.value; draw(); });
  const charts = html("div", { className: "charts" }, root);
  const [curves, accuracies, stops, masks] = ["chart curves", "chart", "chart", "masks"].map((className) => html("div", { className }, charts));
  const pictures = pictured(masks, data);
  const told = html("p", { className: "caption" }, root);
  const code = html("code", {}, html("p", { className: "caption" }, root, "The same networks in Python: "));

  const get = (name) => model.get(name);
  const key = (trial, round, arm) => `${trial} ${round} ${round ? arm : "ticket"}`;
  const main = () => (get("between") === "rewind" ? "ticket" : "continued");
  const arms = () => [main(), ...(get("beside") === "reinit" ? ["reinit"] : [])];
  const of = (round, arm) => Array.from({ length: get("trials") }, (_, t) => networks.get(key(t, round, arm))).filter(Boolean);
  const known = (network) => network?.row;
  const look = (arm) => ({ stroke: colors[arm], "stroke-dasharray": arm === "reinit" ? DASHES[1] : "" });
  /** Whether lth_core measured what is chosen. */
  const matched = () => data.measured && ["rate", "lr", "width", "between", "seed", "iterations"].every((name) => data.measured.settings[name] === get(name));

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  /** Add a row to train: the ticket chain first, then its copies. `parent`: the ticket it is cut from, as trained. */
  function add(trial, round, arm, parent) {
    const task = { trial, round, arm: round ? arm : "ticket", seed: get("seed"), lr: get("lr"), rate: get("rate"),
      iterations: get("iterations"), every: data.every, widths: get("width").split("-").map(Number) };
    const network = { task, curve: [], percent: data.percents[get("width")][get("rate")][round] };
    networks.set(key(trial, round, arm), network);
    const chain = arm === main();
    team.start(task, parent, round + (chain ? 0 : 0.5), ({ masks, point, trained }) => {
      if (masks) network.masks = masks;
      if (point) {
        network.curve.push(point);
        if (point.iteration) done += data.every;
        if (followed && chain) shown = Math.max(shown, round);
      }
      if (!trained) return later();
      network.row = judged(network);
      const numbers = trained.weights.every((w) => w.every(Number.isFinite));
      if (chain && round < get("rounds") && numbers) for (const next of arms()) add(trial, round + 1, next, trained);
      if (!numbers && chain) total -= (get("rounds") - round) * get("iterations") * arms().length;
      model.set("result", [...networks.values()].filter(known).map((n) => ({ ...n.row })));
      model.save_changes();
      if (done >= total) finish();
      later();
    });
  }

  function begin() {
    clear();
    state = "training";
    team = crew(data);
    total = get("trials") * get("iterations") * (1 + get("rounds") * arms().length);
    for (let trial = 0; trial < get("trials"); trial++) add(trial, 0, main());
    draw();
  }

  function finish() {
    state = "done";
    team.dismiss();
    quiet.textContent = `Done: ${networks.size} networks.`;
  }

  function clear() {
    team?.dismiss();
    team = null;
    networks = new Map();
    [total, done, state, followed, shown] = [0, 0, "ready", true, 0];
    quiet.textContent = "";
    if (get("result").length) choose("result", []);
    draw();
  }

  /** Draw soon: not at every evaluation of every network. */
  function later() {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; draw(); }, Math.max(0, rested - performance.now()));
  }

  function sentence() {
    if (state === "ready") return "Choose, then press Train.";
    const finished = [...networks.values()].filter(known).length;
    if (state !== "done") return `${state === "paused" ? "Paused" : "Training"}: round ${Math.max(...[...networks.values()].map((n) => n.task.round))} of ${get("rounds")}, ${finished} network${finished === 1 ? "" : "s"} done.`;
    const last = Math.max(...[...networks.values()].map((n) => n.task.round));
    const means = arms().map((arm) => [arm, of(last, arm).map((n) => n.row.stop_test)]);
    const said = means.map(([arm, v]) => `${names[arm]} ${accuracy(v.reduce((a, b) => a + b, 0) / v.length)}`).join(", ");
    return `Done: ${finished} networks. At ${percent(of(last, main())[0].percent)} of the weights: ${said}.${last < get("rounds") ? " There a network diverged, which ended its chain." : ""}`;
  }

  function drawLegend() {
    legend.replaceChildren();
    const looks = [["unpruned", { class: "line reference" }, "unpruned network"], ...arms().map((arm) => [arm, { class: "line", ...look(arm) }, names[arm]])];
    if (matched()) looks.push(["measured", { class: "line beside", stroke: colors.ticket }, data.measured.label]);
    for (const [, attributes, said] of looks) {
      const entry = html("span", { className: "arm" }, legend);
      svg("path", { d: "M1 5H27", "stroke-width": 2, ...attributes }, svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, entry));
      html("span", {}, entry, said);
    }
  }

  function drawCurves(width) {
    const series = [["unpruned", of(0, main())], ...(shown ? arms().map((arm) => [arm, of(shown, arm)]) : [])];
    const all = series.flatMap(([, list]) => list.flatMap((n) => n.curve));
    const settled = all.filter((p) => p.iteration >= 0.2 * get("iterations")).map((p) => p.test);
    const low = settled.length ? Math.max(0, Math.min(...settled) - 0.02) : 0, end = get("iterations");
    const chart = axes(curves, {
      title: shown ? `Test accuracy while training, round ${shown}` : "Test accuracy while training, unpruned", width, height: width < 450 && charts.clientWidth > 560 ? 346 : 240,
      xs: [0, end], ys: [low, 1], xTicks: ticks(0, end, width < 450 ? 3 : 5), yTicks: ticks(low, 1, 4),
      xText: (v) => v.toLocaleString("en"), yText: (v) => `${+(100 * v).toFixed(1)}%`, xLabel: "training iteration",
    });
    const said = [];
    for (const [arm, list] of series) for (const network of list) {
      const looks = arm === "unpruned" ? { class: "line reference" } : { class: "line", ...look(arm) };
      const line = network.curve.map((p) => p.test);
      svg("path", { ...looks, "stroke-width": list.length > 1 ? 1.2 : 2, d: path(chart.x, chart.y, network.curve.map((p) => p.iteration), line) }, chart.plot);
      if (line.length) said.push(`${names[arm]} at ${accuracy(line[line.length - 1])}`);
    }
    chart.root.setAttribute("aria-label", `Test accuracy against training iteration: ${said.join(", ") || "nothing trained yet"}.`);
  }

  function drawSize(host, column, title, text, width) {
    const percents = data.percents[get("width")][get("rate")].slice(0, get("rounds") + 1);
    const same = matched();
    const line = (rows, arm) => percents.map((_, round) => {
      const values = rows.filter((r) => r.round === round && (r.arm === arm || !round)).map((r) => r[column]);
      return values.length ? values.reduce((a, b) => a + b, 0) / values.length : NaN;
    });
    const mine = [...networks.values()].map(known).filter(Boolean);
    const lines = arms().map((arm) => [arm, line(mine, arm), same ? line(data.measured.rows, arm) : []]);
    const values = [...lines.flatMap(([, a, b]) => [...a, ...b]), ...mine.map((r) => r[column])].filter(finite);
    const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : column === "stop_test" ? [0.9, 1] : [0, get("iterations")];
    const margin = 0.08 * (high - low || 0.1 * high || 1);
    const ys = column === "stop_test" ? [Math.max(0, low - margin), Math.min(1, high + margin)] : [0, high + margin];
    const chart = axes(host, {
      title, width, height: 172, log: true, xs: [108, percents[percents.length - 1] / 1.08], ys, xTicks: percents,
      yTicks: ticks(...ys, 3), xText: (v) => `${+v.toPrecision(v >= 10 ? 3 : 2)}`, yText: text, xLabel: "% of weights remaining",
    });
    if (networks.size) svg("path", { class: "here", d: `M${chart.x(percents[shown])} 20V134` }, chart.root);
    const said = [];
    for (const [arm, own, there] of lines) {
      svg("path", { class: "line beside", ...look(arm), d: path(chart.x, chart.y, percents, there) }, chart.plot);
      svg("path", { class: "line", ...look(arm), d: path(chart.x, chart.y, percents, own) }, chart.plot);
      for (const r of mine) if (r.arm === arm || (!r.round && arm === main())) svg("circle", { cx: chart.x(percents[r.round]), cy: chart.y(r[column]), r: 2.5, fill: colors[arm] }, chart.plot);
      const round = own.findLastIndex(finite);
      if (round >= 0) said.push(`${names[arm]} ${text(own[round])} at ${percent(percents[round])}`);
    }
    chart.root.setAttribute("aria-label", `${title} against percent of weights remaining: ${said.join(", ") || "nothing trained yet"}.`);
  }

  function draw() {
    const began = performance.now();
    drawAll();
    const ended = performance.now();
    rested = ended + Math.max(PATIENCE, REST * (ended - began));
  }

  function drawAll() {
    for (const [made, name, text] of [
      [rate, "rate", `${Math.round(100 * get("rate"))}% of the weights pruned per round`],
      [rounds, "rounds", `${get("rounds")} rounds: down to ${percent(data.percents[get("width")][get("rate")][get("rounds")])}`],
    ]) {
      made.input.value = String(made.stops.indexOf(get(name)));
      made.label.textContent = text;
      made.input.setAttribute("aria-valuetext", text);
    }
    for (const [name, input] of Object.entries(picks)) input.value = String(get(name));
    train.textContent = state === "done" ? "Train again" : "Train";
    train.disabled = state === "training" || state === "paused";
    pause.disabled = !train.disabled;
    pause.textContent = state === "paused" ? "Continue" : "Pause";
    reset.disabled = state === "ready";
    bar.value = total ? done / total : 0;
    says.textContent = sentence();
    shown = Math.min(shown, get("rounds"));
    seek.input.max = String(get("rounds"));
    seek.input.value = String(shown);
    seek.label.textContent = `Shown: ${shown ? `round ${shown}` : "the unpruned network"}, ${percent(data.percents[get("width")][get("rate")][shown])} of weights remaining`;
    seek.input.setAttribute("aria-valuetext", seek.label.textContent);
    const { lr, width, rounds: r, trials } = Object.fromEntries(SETTINGS.map((name) => [name, get(name)]));
    drawLegend();
    code.textContent = `train_here.chains(rate=${get("rate")}, rounds=${r}, lr=${lr}, width="${width}", between="${get("between")}", trials=${trials})`;
    if (!charts.clientWidth) return;
    drawCurves(curves.clientWidth);
    pictures(networks.get(key(0, shown, main())), networks.get(key(0, shown - 1, main())), get("width"), names[shown ? main() : "unpruned"]);
    drawSize(accuracies, "stop_test", "Test accuracy at early stop", (v) => `${+(100 * v).toFixed(1)}%`, accuracies.clientWidth);
    drawSize(stops, "stop_iteration", "Early-stopping iteration", (v) => Math.round(v).toLocaleString("en"), stops.clientWidth);
    told.textContent = `Digits of scikit-learn, 8 by 8 pixels: ${data.counts}. ${get("iterations").toLocaleString("en")} iterations a network, ${data.recipe}.`;
  }

  train.onclick = begin;
  reset.onclick = clear;
  pause.onclick = () => {
    state = state === "paused" ? "training" : "paused";
    team.pause(state === "paused");
    draw();
  };
  const quit = follow(model, [], charts, draw);
  const watched = [...SETTINGS, "seed", "iterations"];
  for (const name of watched) model.on(`change:${name}`, clear);
  return () => {
    quit();
    team?.dismiss();
    for (const name of watched) model.off(`change:${name}`, clear);
  };
}

export default { render };
