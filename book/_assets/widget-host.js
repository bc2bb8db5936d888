// Shows anywidgets in a static page: no kernel, no require.js, no widget manager, no network.
// myst-nb leaves the saved state of all widgets, and a place for each view, in <script> elements.
(() => {
  const WIDGET = 'script[type="application/vnd.jupyter.widget-';
  const modules = new Map(); // source text -> imported module: two widgets of a kind share one
  const models = new Map(); // model id -> model: two views of a widget share one

  // The part of Backbone's model that anywidget promises to a front end. Nothing is sent: there is nobody to send to.
  class Model {
    #state;
    #listeners = new Map();
    constructor(state) { this.#state = state; }
    get(key) { return this.#state[key]; }
    set(key, value) {
      if (typeof key === "object") return Object.entries(key).forEach(([k, v]) => this.set(k, v));
      if (JSON.stringify(this.#state[key]) === JSON.stringify(value)) return;
      this.#state[key] = value;
      this.#emit(`change:${key}`, value);
      this.#emit("change");
    }
    on(events, listener) {
      for (const event of events.split(" ")) this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    }
    off(event, listener) {
      if (!event) return this.#listeners.clear();
      const rest = listener ? (this.#listeners.get(event) ?? []).filter((l) => l !== listener) : [];
      this.#listeners.set(event, rest);
    }
    save_changes() {}
    send() {}
    #emit(event, ...values) { for (const listener of this.#listeners.get(event) ?? []) listener(this, ...values); }
  }

  function load(source) {
    if (!modules.has(source)) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      modules.set(source, import(url).then((m) => (typeof m.default === "function" ? m.default() : m.default)));
    }
    return modules.get(source);
  }

  function style(css) {
    const known = [...document.querySelectorAll("style[data-widget]")].some((s) => s.textContent === css);
    if (!css || known) return;
    const sheet = document.createElement("style");
    sheet.dataset.widget = "";
    sheet.textContent = css;
    document.head.append(sheet);
  }

  // What readers choose stands in the page's address, so that it can be sent, and is there again after a reload. Only
  // what differs from the page's own choice, for the traits that a widget names (`linked`); a page's second such widget
  // has names that begin with "2.", and so on.
  function link(model, number) {
    const names = model.get("linked"), own = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const key = (name) => (number > 1 ? `${number}.${name}` : name);
    const asked = new URLSearchParams(location.search);
    for (const name of names) {
      const text = asked.get(key(name));
      if (text === null) continue;
      const value = typeof own[name] === "string" ? text : text === "" ? null : Number(text);
      if (!Number.isNaN(value)) model.set(name, value);
    }
    let waiting = null; // a dragged slider writes once: browsers refuse pages that rewrite their address too often
    const write = () => {
      const query = new URLSearchParams(location.search);
      for (const name of names) {
        if (model.get(name) === own[name]) query.delete(key(name));
        else query.set(key(name), model.get(name) ?? "");
      }
      const text = query.toString().replaceAll("%2C", ",");
      try {
        history.replaceState(history.state, "", `${location.pathname}${text && `?${text}`}${location.hash}`);
      } catch {} // a page opened from a disk may not
    };
    model.on("change", () => { clearTimeout(waiting); waiting = setTimeout(write, 150); });
  }

  async function show(place, id, number) {
    const el = document.createElement("div");
    place.after(el);
    try {
      const { model_module, state } = saved[id] ?? {};
      if (model_module !== "anywidget") {
        el.textContent = "This control works in Jupyter only: download this page as a notebook.";
        return;
      }
      style(state._css);
      const widget = await load(state._esm);
      const fresh = !models.has(id);
      if (fresh) models.set(id, new Model(state));
      if (fresh && number) link(models.get(id), number);
      if (fresh) await widget.initialize?.({ model: models.get(id) });
      await widget.render?.({ model: models.get(id), el });
    } catch (error) {
      console.error(error);
      el.setAttribute("role", "alert");
      el.textContent = `This control could not start: ${error}`;
    }
  }

  // Whether the parser has left an element: until then its text may be half there.
  function whole(element) {
    for (let e = element; e; e = e.parentNode) if (e.nextSibling) return true;
    return document.readyState !== "loading";
  }

  // As soon as a control's place is there it is shown: readers of a long page need not wait for its end.
  const saved = {}, linked = [], seen = new WeakSet();
  function look() {
    const fresh = (kind) => [...document.querySelectorAll(`${WIDGET}${kind}+json"]`)].filter((e) => !seen.has(e) && whole(e));
    for (const states of fresh("state")) Object.assign(saved, JSON.parse(states.textContent).state), seen.add(states);
    for (const place of fresh("view")) {
      const id = JSON.parse(place.textContent).model_id;
      seen.add(place);
      if (saved[id]?.state.linked?.length && !linked.includes(id)) linked.push(id);
      show(place, id, linked.indexOf(id) + 1);
    }
  }
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  look();
})();
