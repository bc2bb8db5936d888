// One slide at a time. Arrows, Page Up and Down, Space, Home and End move; n shows the teacher's notes,
// p opens a window of the presenter's own, with notes, the next slide's title and the time: each window moves the other.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const mode = () => (document.documentElement.dataset.theme = dark.matches ? "dark" : "light"); // figures look here
  dark.addEventListener("change", mode);
  mode();

  const slides = [...document.querySelectorAll(".slide")];
  const root = document.documentElement;
  root.classList.add("deck");
  const number = () => Math.min(slides.length, Math.max(1, Number(location.hash.slice(2)) || 1));
  const where = document.getElementById("where");
  const notes = document.getElementById("notes");

  let partner = opener && location.search === "?presenter" ? opener : null; // messages pass from file to file too
  const mine = partner !== null;
  const began = Date.now();
  if (mine) {
    root.classList.add("presenter");
    const clock = document.getElementById("clock");
    const tick = () => (clock.textContent = `${Math.floor((Date.now() - began) / 60_000)} min`);
    tick();
    setInterval(tick, 5_000);
  }
  const title = (n) => slides[n - 1]?.querySelector("h1")?.textContent ?? "";

  const show = (focus) => {
    const n = number();
    slides.forEach((slide, i) => slide.classList.toggle("now", i + 1 === n));
    where.textContent = `${n} / ${slides.length}`;
    document.getElementById("back").disabled = n === 1;
    document.getElementById("on").disabled = n === slides.length;
    document.getElementById("next").textContent = n < slides.length ? `Next: ${title(n + 1)}` : "The last slide.";
    scrollTo(0, 0);
    for (const figure of slides[n - 1].querySelectorAll("figure")) {
      if (figure.scrollWidth > figure.clientWidth) figure.tabIndex = 0; // the keyboard must reach what scrolls
      else figure.removeAttribute("tabindex");
    }
    if (focus) slides[n - 1].focus({ preventScroll: true }); // a screen reader says where we are
  };
  const go = (n) => {
    const next = Math.min(slides.length, Math.max(1, n));
    if (next === number()) return;
    history.replaceState(null, "", `#s${next}`); // Back leaves the slides, as on paper
    show(true);
    partner?.postMessage({ slide: next }, "*");
  };
  addEventListener("message", (event) => {
    if (event.source === partner && Number.isInteger(event.data?.slide)) go(event.data.slide);
  });
  const present = () => {
    if (mine) return;
    partner = open(`${location.pathname}?presenter#s${number()}`, "presenter", "width=900,height=700");
  };
  const toggle = () => {
    const on = root.classList.toggle("with-notes");
    notes.setAttribute("aria-pressed", String(on));
  };
  const keys = {
    ArrowRight: () => go(number() + 1), PageDown: () => go(number() + 1), " ": () => go(number() + 1),
    ArrowLeft: () => go(number() - 1), PageUp: () => go(number() - 1),
    Home: () => go(1), End: () => go(slides.length), n: toggle, p: present,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.closest("button, a")) return; // Space presses what has the focus
    if (event.key.startsWith("Arrow") && event.target.closest("figure[tabindex]")) return; // and scrolls a wide figure
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
  document.getElementById("back").addEventListener("click", () => go(number() - 1));
  document.getElementById("on").addEventListener("click", () => go(number() + 1));
  notes.addEventListener("click", toggle);
  document.getElementById("open").addEventListener("click", present);
  addEventListener("hashchange", () => show(true));
  show(false);
})();
