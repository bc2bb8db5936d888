// Small fully connected networks on scikit-learn's digits, as lth_core trains them: the same splits, initial weights,
// batches, Adam and cuts. Runs in a worker, behind keyed_draws.js; it knows nothing of the page.
// Sums are float64 (lth_core's are float32). Activations lie unit by unit, the BATCH images of a unit side by side.
const BATCH = 60, CLASSES = 10, VALIDATION = 180;

/** The layers of `lenet-H1-H2-…`: name, numbers of inputs and outputs. */
function layersOf(widths) {
  const sizes = [64, ...widths, CLASSES];
  return sizes.slice(1).map((outputs, i) => ({ name: i < widths.length ? `fc${i + 1}` : "out", inputs: sizes[i], outputs }));
}

/** `models.initial`: for each layer weights normal(0, Glorot's deviation) as `(output, input)`. Biases start at 0. */
function initial(task, purpose) {
  return layersOf(task.widths).map(({ name, inputs, outputs }) => {
    const draw = generator([task.seed, task.trial, ...purpose, name]);
    const deviation = Math.fround(Math.sqrt(2 / (inputs + outputs)));
    return Float64Array.from({ length: inputs * outputs }, () => Math.fround(Math.fround(draw.normal()) * deviation));
  });
}

/** `prune.cut`: of each layer the largest magnitudes among the `alive`, as many as n (1 - rate)^round are. */
function cut(task, trained, alive) {
  return trained.map((weights, layer) => {
    const rate = layer === trained.length - 1 ? task.rate / 2 : task.rate;
    const keep = Math.floor(weights.length * (1 - rate) ** task.round + 0.5);
    const order = Array.from(weights.keys()).filter((i) => alive[layer][i]); // equal magnitudes fall in index order
    order.sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]) || a - b);
    const mask = new Uint8Array(weights.length);
    for (const i of order.slice(0, keep)) mask[i] = 1;
    return mask;
  });
}

/** A row's network before training (`arms.network`); `parent`: weights, biases and masks of the ticket it is cut from. */
function network(task, parent) {
  const whole = layersOf(task.widths).map((l) => new Uint8Array(l.inputs * l.outputs).fill(1));
  const masks = task.round ? cut(task, parent.weights, parent.masks) : whole;
  const start = task.arm === "reinit" ? initial(task, ["reinit", task.round, 0]) : initial(task, ["init"]);
  const carried = task.arm === "continued" && task.round > 0;
  const weights = carried ? parent.weights : start; // what is pruned of them is not read
  const biases = layersOf(task.widths).map((l, i) => (carried ? parent.biases[i].slice() : new Float64Array(l.outputs)));
  return { weights, biases, masks };
}

/** A layer's surviving weights row by row, with Adam's moments, and where each input's weights lie among them. */
function sparse({ inputs, outputs }, weights, biases, mask) {
  const rows = new Int32Array(outputs + 1), columns = new Int32Array(inputs + 1);
  const count = mask.reduce((n, m) => n + m, 0), input = new Int32Array(count), output = new Int32Array(count);
  let at = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      if (!mask[o * inputs + i]) continue;
      input[at] = i;
      output[at++] = o;
      columns[i + 1] += 1;
    }
    rows[o + 1] = at;
  }
  for (let i = 0; i < inputs; i++) columns[i + 1] += columns[i];
  const places = new Int32Array(count), free = columns.slice();
  for (let k = 0; k < count; k++) places[free[input[k]]++] = k;
  const w = Float64Array.from(input, (i, k) => weights[output[k] * inputs + i]), zeros = (n) => new Float64Array(n);
  return {
    inputs, outputs, rows, columns, input, output, places, w, b: biases.slice(), m: zeros(count), v: zeros(count),
    bm: zeros(outputs), bv: zeros(outputs), z: zeros(outputs * BATCH), d: zeros(outputs * BATCH),
  };
}

/** A layer's sums for BATCH images from its inputs `x`; below `least` (0: ReLU) they are cut off. */
function forward({ rows, input, w, b, z, outputs }, x, least) {
  for (let o = 0; o < outputs; o++) {
    for (let s = 0; s < BATCH; s += 6) {
      let s0 = b[o], s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
      for (let k = rows[o]; k < rows[o + 1]; k++) {
        const v = w[k], at = input[k] * BATCH + s;
        s0 += v * x[at];
        s1 += v * x[at + 1];
        s2 += v * x[at + 2];
        s3 += v * x[at + 3];
        s4 += v * x[at + 4];
        s5 += v * x[at + 5];
      }
      const to = o * BATCH + s;
      z[to] = s0 > least ? s0 : least;
      z[to + 1] = s1 > least ? s1 : least;
      z[to + 2] = s2 > least ? s2 : least;
      z[to + 3] = s3 > least ? s3 : least;
      z[to + 4] = s4 > least ? s4 : least;
      z[to + 5] = s5 > least ? s5 : least;
    }
  }
}

/** The gradient with respect to a layer's inputs, which are what the layer `below` gave: 0 where its ReLU was. */
function backward({ columns, output, places, w, d }, below) {
  const { z } = below, to = below.d;
  for (let i = 0; i < below.outputs; i++) {
    for (let s = 0; s < BATCH; s += 6) {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0;
      for (let c = columns[i]; c < columns[i + 1]; c++) {
        const k = places[c], v = w[k], at = output[k] * BATCH + s;
        s0 += v * d[at];
        s1 += v * d[at + 1];
        s2 += v * d[at + 2];
        s3 += v * d[at + 3];
        s4 += v * d[at + 4];
        s5 += v * d[at + 5];
      }
      const at = i * BATCH + s;
      to[at] = z[at] > 0 ? s0 : 0;
      to[at + 1] = z[at + 1] > 0 ? s1 : 0;
      to[at + 2] = z[at + 2] > 0 ? s2 : 0;
      to[at + 3] = z[at + 3] > 0 ? s3 : 0;
      to[at + 4] = z[at + 4] > 0 ? s4 : 0;
      to[at + 5] = z[at + 5] > 0 ? s5 : 0;
    }
  }
}

/** One step of Adam on what survives of a layer; `size` and `root` have the corrections for the iteration in them. */
function adam({ rows, input, w, b, m, v, bm, bv, d, outputs }, x, size, root) {
  for (let o = 0; o < outputs; o++) {
    const from = o * BATCH;
    let sum = 0;
    for (let s = from; s < from + BATCH; s++) sum += d[s];
    bm[o] += (sum - bm[o]) * 0.1;
    bv[o] = bv[o] * 0.999 + sum * sum * 0.001;
    b[o] -= (size * bm[o]) / (Math.sqrt(bv[o]) * root + 1e-8);
    for (let k = rows[o]; k < rows[o + 1]; k++) {
      let g0 = 0, g1 = 0, g2 = 0, g3 = 0;
      for (let s = from, at = input[k] * BATCH; s < from + BATCH; s += 4, at += 4) {
        g0 += d[s] * x[at];
        g1 += d[s + 1] * x[at + 1];
        g2 += d[s + 2] * x[at + 2];
        g3 += d[s + 3] * x[at + 3];
      }
      const g = g0 + g1 + g2 + g3;
      m[k] += (g - m[k]) * 0.1;
      v[k] = v[k] * 0.999 + g * g * 0.001;
      w[k] -= (size * m[k]) / (Math.sqrt(v[k]) * root + 1e-8);
    }
  }
}

/** BATCH images, pixel by pixel, from their indices `(image,)` from `first` on. */
function gather(images, index, first, x) {
  for (let s = 0; s < BATCH; s++) {
    const from = 64 * index[first + s];
    for (let i = 0; i < 64; i++) x[i * BATCH + s] = images[from + i];
  }
}

/** A row in training: its masks, what makes a step, what evaluates it, and its `trained` weights.
 * `data`: `pool` and `test`, of each `images` (a network's inputs, one image after the other) and `labels`. */
function training(task, parent, data) {
  const start = network(task, parent), n = data.pool.labels.length;
  const layers = layersOf(task.widths).map((l, i) => sparse(l, start.weights[i], start.biases[i], start.masks[i]));
  const last = layers[layers.length - 1], x = new Float64Array(64 * BATCH);
  const order = generator([task.seed, task.trial, "split"]).permute(Int32Array.from({ length: n }, (_, i) => i));
  const train = order.slice(VALIDATION).sort(), validation = order.slice(0, VALIDATION).sort();
  let iteration = 0, epoch = 0, stream = new Int32Array(0), at = 0;

  /** The images of the next batch: every epoch in a new order, epochs joined end to end. */
  function next() {
    if (at + BATCH > stream.length) {
      const shuffled = generator([task.seed, task.trial, "order", task.round, task.arm, 0, epoch++]).permute(train.slice());
      const joined = new Int32Array(stream.length - at + train.length);
      joined.set(stream.subarray(at));
      joined.set(shuffled, stream.length - at);
      stream = joined;
      at = 0;
    }
    at += BATCH;
    return at - BATCH;
  }

  function output(images, index, first) {
    gather(images, index, first, x);
    layers.forEach((layer, i) => forward(layer, i ? layers[i - 1].z : x, layer === last ? -Infinity : 0));
  }

  /** Mean cross-entropy and right answers; of training images also the gradient with respect to the sums. */
  function judge(labels, index, first, learn) {
    const { z, d } = last;
    let loss = 0, correct = 0;
    for (let s = 0; s < BATCH; s++) {
      const label = labels[index[first + s]];
      let best = 0, sum = 0;
      for (let c = 1; c < CLASSES; c++) if (z[c * BATCH + s] > z[best * BATCH + s]) best = c;
      const top = z[best * BATCH + s];
      for (let c = 0; c < CLASSES; c++) sum += Math.exp(z[c * BATCH + s] - top);
      loss += Math.log(sum) + top - z[label * BATCH + s];
      correct += best === label;
      if (learn) for (let c = 0; c < CLASSES; c++) d[c * BATCH + s] = (Math.exp(z[c * BATCH + s] - top) / sum - (c === label)) / BATCH;
    }
    return { loss, correct };
  }

  function step() {
    const first = next();
    output(data.pool.images, stream, first);
    judge(data.pool.labels, stream, first, true);
    iteration += 1;
    const size = task.lr / (1 - 0.9 ** iteration), root = 1 / Math.sqrt(1 - 0.999 ** iteration);
    for (let i = layers.length - 1; i >= 0; i--) {
      if (i) backward(layers[i], layers[i - 1]);
      adam(layers[i], i ? layers[i - 1].z : x, size, root);
    }
  }

  /** Mean loss on the validation images, and right answers there and on the test images. */
  function evaluate() {
    const all = Int32Array.from({ length: data.test.labels.length }, (_, i) => i);
    const [val, test] = [[data.pool, validation], [data.test, all]].map(([{ images, labels }, index]) => {
      const sum = { loss: 0, correct: 0, n: index.length };
      for (let first = 0; first < index.length; first += BATCH) {
        output(images, index, first);
        const { loss, correct } = judge(labels, index, first, false);
        sum.loss += loss;
        sum.correct += correct;
      }
      return sum;
    });
    return { iteration, loss: val.loss / val.n, val: val.correct / val.n, test: test.correct / test.n };
  }

  /** Weights `(output, input)`, exactly 0 where they are pruned, and biases. */
  const trained = () => ({
    masks: start.masks,
    biases: layers.map((l) => l.b.slice()),
    weights: layers.map((l) => {
      const dense = new Float64Array(l.inputs * l.outputs);
      l.w.forEach((v, k) => (dense[l.output[k] * l.inputs + l.input[k]] = v));
      return dense;
    }),
  });
  return { masks: start.masks, step, evaluate, trained };
}
