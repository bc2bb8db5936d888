// The theme's two buttons carry their work in attributes, which the pages' policy forbids (book/_ext/lth_book.py).
for (const [kind, work] of [["fullscreen", () => toggleFullScreen()], ["download-pdf", () => print()]])
  for (const button of document.querySelectorAll(`.btn-${kind}-button:is(button)`)) button.addEventListener("click", work);

// One switch for all folded code of a page.
(() => {
  const cells = document.querySelectorAll("details.hide");
  const bar = document.querySelector(".article-header-buttons");
  if (!cells.length || !bar) return;
  const button = document.createElement("button");
  button.className = "btn btn-sm lth-fold";
  button.type = "button";
  const label = () => {
    const open = [...cells].every((cell) => cell.open);
    button.textContent = "</>";
    button.title = open ? "Hide all code" : "Show all code";
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", String(open));
    return open;
  };
  button.addEventListener("click", () => {
    const open = label();
    cells.forEach((cell) => (cell.open = !open));
    label();
  });
  cells.forEach((cell) => cell.addEventListener("toggle", label));
  label();
  bar.prepend(button);
})();

// The width at which a figure's text has its own size: on a telephone it is not drawn smaller, it scrolls.
for (const figure of document.querySelectorAll(".cell_output svg[viewBox]"))
  figure.style.setProperty("--natural", `${figure.viewBox.baseVal.width}px`);

// Formulas wider than a telephone scroll, and the keyboard must reach them (the theme does this for code and outputs).
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const mark = () => {
    for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  mark();
  addEventListener("resize", mark);
});
