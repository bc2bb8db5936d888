// The worker's side, behind keyed_draws.js and lenet_engine.js: trains one row at a time and reports every evaluation.
const held = { data: null, row: null, paused: false, unheard: 0, due: false };
const turn = new MessageChannel(); // lets messages in between, without the 4 ms that a timer would wait
const SLICE = 30; // milliseconds of training between two looks at the messages
const AHEAD = 2; // evaluations that the page may not have heard of: with few cores training waits for a busy page

function soon() {
  if (!held.due) turn.port2.postMessage(0);
  held.due = true;
}

/** Images and labels from a character a pixel, which is its place in `levels`. */
function read({ pixels, labels }, levels) {
  const images = Float64Array.from(pixels, (c) => levels[c.charCodeAt(0) - 48] / 255);
  return { images, labels: Uint8Array.from(labels, Number) };
}

turn.port1.onmessage = () => {
  held.due = false;
  const { row } = held;
  if (!row || held.paused) return;
  const { id, task, network } = row, until = performance.now() + SLICE;
  while (performance.now() < until) {
    if (row.iteration % task.every === 0) {
      if (held.unheard >= AHEAD) return;
      held.unheard += 1;
      postMessage({ id, point: network.evaluate() });
    }
    if (row.iteration === task.iterations) {
      held.row = null;
      return postMessage({ id, trained: network.trained() });
    }
    network.step();
    row.iteration += 1;
  }
  soon();
};

onmessage = ({ data: message }) => {
  if (message.do === "data") held.data = { pool: read(message.pool, message.levels), test: read(message.test, message.levels) };
  if (message.do === "train") {
    const { id, task, parent } = message, network = training(task, parent, held.data);
    held.row = { id, task, network, iteration: 0 };
    held.paused = message.paused;
    postMessage({ id, masks: network.masks });
  }
  if (message.do === "heard") held.unheard -= 1;
  if (message.do === "pause" || message.do === "go") held.paused = message.do === "pause";
  soon();
};
