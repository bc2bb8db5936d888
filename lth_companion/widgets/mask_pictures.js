// Pictures of the masks of a small network: a dot a weight, and what is left of each pixel.

/** Draw `shades` (0 blank, 1 black) as an image `columns` wide. */
function dots(canvas, shades, columns) {
  canvas.width = columns;
  canvas.height = shades.length / columns;
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < shades.length; i++) image.data[4 * i + 3] = 255 * shades[i]; // dark pages invert the black
  context.putImageData(image, 0, 0);
}

/** Places for the pictures in `host`; returns what draws a network's masks, and those of the round before in grey. */
function pictured(host) {
  const title = html("p", { className: "title" }, host);
  const frame = html("div", { className: "matrices" }, host);
  const made = ["pixels", "layer 1", "layer 2", "output layer"].map((name) => {
    const figure = html("div", { className: name.replace(" ", "-") }, frame);
    const canvas = html("canvas", {}, figure);
    canvas.setAttribute("role", "img");
    return { name, canvas, text: html("span", { className: "note" }, figure) };
  });
  html("p", { className: "note" }, host, "Each dot is a weight, each row a unit, each column one of its inputs. Full: kept. Pale: cut in this round. The stronger a pixel, the more connections it has left.");
  return (network, before, width, name) => {
    const sizes = [64, ...width.split("-").map(Number), 10];
    const whole = sizes.slice(1).map((n, i) => new Uint8Array(n * sizes[i]).fill(1));
    const masks = network?.masks ?? before?.masks ?? whole;
    title.textContent = `Weights left, first trial: ${name}`;
    masks.forEach((mask, i) => {
      const old = before?.masks?.[i];
      dots(made[i + 1].canvas, Array.from(mask, (m, at) => (m ? 1 : old?.[at] ? 0.25 : 0)), sizes[i]);
      const said = `${mask.reduce((a, b) => a + b, 0).toLocaleString("en")} of ${mask.length.toLocaleString("en")}`;
      made[i + 1].text.textContent = `${made[i + 1].name}: ${said}`;
      made[i + 1].canvas.setAttribute("aria-label", `${made[i + 1].name}: ${said} weights are left`);
    });
    const out = new Float64Array(64);
    masks[0].forEach((m, at) => (out[at % 64] += m));
    const most = Math.max(1, ...out);
    dots(made[0].canvas, Array.from(out, (v) => v / most), 8);
    made[0].text.textContent = `pixels: up to ${most}`;
    made[0].canvas.setAttribute("aria-label", `Connections that each pixel has left: from ${Math.min(...out)} to ${most}`);
  };
}
