// Parts that come when they are wanted, texts and images saved and shown on the whole screen, and the place that an address names.
"use strict";
(() => {
  const target = (event, selector) => event.composedPath().find(node => node.matches?.(selector));
  // Among all_models those of pages that are gone stay for a while: what counts is what hangs on a root.
  const tagged = tag => Bokeh.documents.flatMap(doc => doc.roots()).flatMap(root => [...root.references()]).find(model => model.tags?.includes(tag));
  // What names a key with data-fetch gets its part in the place of data-place: within it, or around it. One is asked for after the
  // other: of two values that follow each other at once, the server sends the last.
  const lines = new WeakMap(); // of what waits, by the model that is asked
  let asked = 0;
  const ask = (asks, line) => {
    if (line.now || !line.waiting.length) return;
    line.now = line.waiting.shift();
    line.now.number = String(++asked);
    asks.value = `${line.now.number} ${line.now.key}`;
  };
  const put = (place, html) => {
    const made = document.createElement("template"), focused = place.getRootNode().activeElement;
    made.innerHTML = html;
    const first = made.content.firstElementChild;
    place.replaceWith(made.content);
    if (focused && !focused.isConnected && first) { first.tabIndex = -1; first.focus({ preventScroll: true }); }
  };
  const bring = node => {
    const asks = tagged("part-asks"), gives = tagged("part-gives");
    const place = node.matches("details") ? node.querySelector("[data-place]") : node.closest("[data-place]");
    if (!asks || !gives || !place) return;
    if (!lines.has(asks)) {
      const line = { waiting: [], now: null };
      lines.set(asks, line);
      gives.properties.value.change.connect(() => {
        const [number, html] = JSON.parse(gives.value || "[0]");
        if (number !== line.now?.number) return;
        if (line.now.place.isConnected) put(line.now.place, html);
        line.now = null;
        ask(asks, line);
      });
    }
    lines.get(asks).waiting.push({ key: node.dataset.fetch, place });
    delete node.dataset.fetch;
    ask(asks, lines.get(asks));
  };
  const said = (button, word) => { const was = button.textContent; button.textContent = word; setTimeout(() => { button.textContent = was; }, 1200); };
  const save = button => {
    const from = button.getRootNode().getElementById(button.dataset.save), link = document.createElement("a");
    const image = from.matches("img");
    link.href = image ? from.src : URL.createObjectURL(new Blob([from.textContent], { type: "text/plain" }));
    link.download = button.dataset.name;
    link.click();
    if (!image) setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    said(button, "saved");
  };
  document.addEventListener("click", event => {
    const node = target(event, "[data-fetch]");
    if (node && (node.matches("button") || target(event, "summary")?.parentNode === node) && !target(event, "a")) bring(node);
    const saved = target(event, "[data-save]"), full = target(event, "[data-full]");
    if (saved) save(saved);
    if (full) full.getRootNode().getElementById(full.dataset.full)?.requestFullscreen?.();
  });

  // The step that an address names comes into sight once the page is there.
  const deep = (tree, selector) => {
    const found = tree.querySelector(selector);
    if (found) return found;
    for (const node of tree.querySelectorAll("*")) if (node.shadowRoot) { const inner = deep(node.shadowRoot, selector); if (inner) return inner; }
    return null;
  };
  const arrive = () => {
    if (!new URLSearchParams(location.search).get("exchange")) return;
    let left = 40;
    const timer = setInterval(() => {
      const here = deep(document, "[data-here]");
      if (here || !--left) clearInterval(timer);
      here?.scrollIntoView({ block: "center" });
    }, 50);
  };
  addEventListener("DOMContentLoaded", () => {
    const ready = setInterval(() => {
      const done = typeof Bokeh !== "undefined" && Bokeh.documents.flatMap(doc => doc.roots()).find(model => model.name === "done");
      if (!done) return;
      clearInterval(ready);
      done.properties.value.change.connect(arrive);
      if (done.value) arrive();
    }, 30);
  });
})();
