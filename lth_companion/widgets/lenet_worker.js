// The worker's side, behind keyed_draws.js and lenet_engine.js: trains one row at a time and reports every evaluation.
const held = { data: null, row: null, paused: false };
const turn = new MessageChannel(); // lets messages in between, without the 4 ms that a timer would wait
const SLICE = 30; // milliseconds of training between two looks at the messages

/** Images and labels from a character a pixel, which is its place in `levels`. */
function read({ pixels, labels }, levels) {
  const images = Float64Array.from(pixels, (c) => levels[c.charCodeAt(0) - 48] / 255);
  return { images, labels: Uint8Array.from(labels, Number) };
}

turn.port1.onmessage = () => {
  const { row } = held;
  if (!row || held.paused) return;
  const { id, task, network } = row, until = performance.now() + SLICE;
  while (performance.now() < until) {
    if (row.iteration % task.every === 0) postMessage({ id, point: network.evaluate() });
    if (row.iteration === task.iterations) {
      held.row = null;
      return postMessage({ id, trained: network.trained() });
    }
    network.step();
    row.iteration += 1;
  }
  turn.port2.postMessage(0);
};

onmessage = ({ data: message }) => {
  if (message.do === "data") held.data = { pool: read(message.pool, message.levels), test: read(message.test, message.levels) };
  if (message.do === "train") {
    const { id, task, parent } = message, network = training(task, parent, held.data);
    held.row = { id, task, network, iteration: 0 };
    postMessage({ id, masks: network.masks });
  }
  if (message.do !== "data") held.paused = message.do === "pause" || (message.do === "train" && message.paused);
  turn.port2.postMessage(0);
};
