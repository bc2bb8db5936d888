// Trains XOR networks by the hundred, as lth_companion/experiments/xor.py does. Runs in a worker: it knows nothing of the page.
// A network is 4h + 1 numbers: each unit's two input weights, bias and output weight; last, the output's bias.
const POINTS = [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]; // x, y, class

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
function uniform(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Weights normal(0, 0.1), redrawn beyond two standard deviations; biases 0. */
function initial(count, hidden, seed) {
  const draw = uniform(seed);
  const normal = () => {
    for (;;) {
      const z = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
      if (Math.abs(z) <= 2) return 0.1 * z;
    }
  };
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: 4 * hidden + 1 }, (_, i) => (i % 4 === 2 || i === 4 * hidden ? 0 : normal())));
}

/** The output before the sigmoid at (x, y). */
function logit(w, x, y) {
  let sum = w[w.length - 1];
  for (let u = 0; u + 4 < w.length; u += 4) sum += w[u + 3] * Math.max(0, w[u] * x + w[u + 1] * y + w[u + 2]);
  return sum;
}

/** How sure a network is of class 1, over the square that the points lie in: `fine` rows of `fine` numbers. */
function picture(w, fine) {
  const at = (i) => -0.3 + (1.6 * (i + 0.5)) / fine;
  return Float32Array.from({ length: fine * fine }, (_, i) => 1 / (1 + Math.exp(-logit(w, at(i % fine), at(Math.floor(i / fine))))));
}

/** Full-batch gradient descent on the mean cross-entropy of the four points, in place. */
function descend(w, iterations, lr) {
  const bias = w.length - 1, step = lr / 4;
  for (let n = 0; n < iterations; n++) {
    let z0 = w[bias], z1 = z0, z2 = z0, z3 = z0;
    for (let u = 0; u < bias; u += 4) {
      const x = w[u], y = w[u + 1], b = w[u + 2], v = w[u + 3], s = b + x + y;
      if (b > 0) z0 += v * b;
      if (b + y > 0) z1 += v * (b + y);
      if (b + x > 0) z2 += v * (b + x);
      if (s > 0) z3 += v * s;
    }
    // step times the gradient with respect to each logit: answer minus class
    const e0 = step / (1 + Math.exp(-z0)), e1 = -step / (1 + Math.exp(z1));
    const e2 = -step / (1 + Math.exp(z2)), e3 = step / (1 + Math.exp(-z3));
    w[bias] -= e0 + e1 + e2 + e3;
    for (let u = 0; u < bias; u += 4) {
      const x = w[u], y = w[u + 1], b = w[u + 2], v = w[u + 3], s = b + x + y;
      const d0 = b > 0 ? e0 : 0, d1 = b + y > 0 ? e1 : 0, d2 = b + x > 0 ? e2 : 0, d3 = s > 0 ? e3 : 0;
      w[u + 3] = v - (d0 * b + d1 * (b + y) + d2 * (b + x) + d3 * s);
      w[u] = x - v * (d2 + d3);
      w[u + 1] = y - v * (d1 + d3);
      w[u + 2] = b - v * (d0 + d1 + d2 + d3);
    }
  }
}

/** Loss, and the margin of the worst point: below 0 it is on the wrong side. */
function outcome(w) {
  let loss = 0, margin = Infinity;
  for (const [x, y, right] of POINTS) {
    const m = (right ? 1 : -1) * logit(w, x, y);
    loss += (Math.max(0, -m) + Math.log1p(Math.exp(-Math.abs(m)))) / 4;
    margin = Math.min(margin, m);
  }
  return { loss, margin };
}

/** What a unit is worth, by the paper's three heuristics, or nothing at all ("random", a control). */
function worth(w, u, criterion, draw) {
  const input = (Math.abs(w[u]) + Math.abs(w[u + 1])) / 2, output = Math.abs(w[u + 3]);
  return { input, output, product: input * output, random: draw() }[criterion];
}

/** The units with the highest scores in `trained`, with their numbers in `start`: the rewound ticket. */
function rewound(start, trained, keep, criterion, draw) {
  const scores = Array.from({ length: (trained.length - 1) / 4 }, (_, i) => [worth(trained, 4 * i, criterion, draw), i]);
  const kept = scores.sort((a, b) => b[0] - a[0]).slice(0, keep).map(([, i]) => i).sort((a, b) => a - b);
  return Float32Array.from([...kept.flatMap((i) => [...start.subarray(4 * i, 4 * i + 4)]), start[start.length - 1]]);
}

// The worker's side: draws or prunes what it holds, then trains it, and reports forty times on the way.
const held = { starts: [], now: [], run: 0 };
onmessage = ({ data }) => {
  const run = ++held.run; // whatever was going on ends
  if (data.do === "draw") {
    held.starts = initial(data.count, data.hidden, data.seed);
    held.now = held.starts.map((w) => w.slice());
    held.random = uniform(data.seed + 1);
  } else if (data.do === "prune") {
    held.starts = held.starts.map((w, i) => rewound(w, held.now[i], data.keep, data.criterion, held.random));
    held.now = held.starts.map((w) => w.slice());
  }
  const report = (iteration) => {
    const maps = held.now.slice(0, data.shown).map((w) => picture(w, data.fine));
    postMessage({ run: data.run, iteration, done: iteration === data.iterations, outcomes: held.now.map(outcome), maps });
  };
  report(0);
  let iteration = 0;
  const chunk = Math.max(1, Math.ceil(data.iterations / 40));
  const go = () => {
    if (run !== held.run || iteration >= data.iterations) return;
    const steps = Math.min(chunk, data.iterations - iteration);
    for (const w of held.now) descend(w, steps, data.lr);
    report((iteration += steps));
    setTimeout(go); // lets a message in between
  };
  if (data.iterations) go();
};
