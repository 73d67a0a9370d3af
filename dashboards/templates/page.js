// Addresses are views: a link with "?" goes through the open connection, and so do back, forward and the filter bar.
"use strict";
(() => {
  const KEPT = ["page", "range", "project", "model", "agent", "session", "provider", "state", "kind", "status", "text"];
  const root = name => Bokeh.documents.flatMap(doc => doc.roots()).find(model => model.name === name);
  const tell = (name, value) => { const model = root(name); if (model) model.value = value; };
  const waiting = on => document.getElementById("main")?.classList.toggle("waiting", on);
  const go = (search, replace) => {
    if (search === location.search) return;
    history[replace ? "replaceState" : "pushState"]({}, "", search);
    waiting(true);
    tell("route", search);
    if (!replace) window.scrollTo(0, 0);
  };
  const target = (event, selector) => event.composedPath().find(node => node.matches?.(selector));
  const changed = (name, value) => {
    const given = new URLSearchParams(location.search);
    if (value) given.set(name, value); else given.delete(name);
    for (const gone of ["at", "before"]) given.delete(gone);
    go("?" + given.toString());
  };

  // Theme: what was chosen, else what the system wants; the server is told so that charts match.
  const chosen = () => document.cookie.match(/(?:^|; )ccproxy-theme=(dark|light)/)?.[1];
  const paint = theme => { document.documentElement.dataset.theme = theme; tell("theme", theme); };
  const system = matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.dataset.theme = chosen() || (system.matches ? "dark" : "light");
  system.addEventListener("change", () => { if (!chosen()) paint(system.matches ? "dark" : "light"); });

  document.addEventListener("click", event => {
    const link = target(event, "a[href]");
    if (link && link.getAttribute("href").startsWith("?") && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      go(link.getAttribute("href"));
      return;
    }
    const copy = target(event, "[data-copy]");
    if (copy) {
      const from = copy.getRootNode().getElementById(copy.dataset.copy);
      navigator.clipboard?.writeText(from.textContent).then(() => { const was = copy.textContent; copy.textContent = "copied"; setTimeout(() => { copy.textContent = was; }, 1200); });
    }
    if (target(event, "[data-theme-switch]")) {
      const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      document.cookie = `ccproxy-theme=${theme}; path=/; max-age=31536000; samesite=strict`;
      paint(theme);
    }
    const row = target(event, "tr[data-href]");
    if (row && !target(event, "a, button, summary, select, input") && !getSelection().toString()) go(row.dataset.href);
  });
  document.addEventListener("change", event => {
    const field = target(event, "[data-filter]");
    if (field) changed(field.dataset.filter, field.value);
  });
  document.addEventListener("submit", event => {
    const form = target(event, "form[data-go]");
    if (!form) return;
    event.preventDefault();
    const given = new URLSearchParams(location.search);
    for (const [name, value] of new FormData(form)) if (value) given.set(name, value); else given.delete(name);
    for (const gone of ["at", "before"]) given.delete(gone);
    go("?" + given.toString());
  });
  document.addEventListener("keydown", event => {
    const typing = target(event, "input, textarea, select");
    if (event.key === "Escape") {
      if (typing) { typing.blur(); return; }
      const open = new URLSearchParams(location.search);
      if (!open.has("item")) return;
      for (const name of [...open.keys()]) if (!KEPT.includes(name)) open.delete(name);
      go("?" + open.toString());
    }
    if (event.key === "/" && !typing) { event.preventDefault(); deep(document, "[data-search]")?.focus(); }
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") typing?.closest("form")?.requestSubmit();
    const row = target(event, "tr[data-href]");
    if (event.key === "Enter" && row && !typing) go(row.dataset.href);
  });
  addEventListener("popstate", () => { waiting(true); tell("route", location.search || "?"); });

  // Panes live in shadow trees of their own.
  const deep = (tree, selector) => {
    const found = tree.querySelector(selector);
    if (found) return found;
    for (const node of tree.querySelectorAll("*")) if (node.shadowRoot) { const inner = deep(node.shadowRoot, selector); if (inner) return inner; }
    return null;
  };
  const times = tree => {
    const pad = number => String(number).padStart(2, "0");
    for (const node of tree.querySelectorAll("time[datetime]:not([data-told])")) {
      const at = new Date(node.getAttribute("datetime"));
      const date = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`, clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
      node.textContent = { time: clock, date, full: `${date} ${clock}` }[node.dataset.form] ?? clock;
      node.dataset.told = "";
    }
    for (const node of tree.querySelectorAll("*")) if (node.shadowRoot) { watch(node.shadowRoot); times(node.shadowRoot); }
  };
  const watched = new WeakSet();
  let due = false;
  const look = () => { if (due) return; due = true; requestAnimationFrame(() => { due = false; times(document); }); };
  const watch = tree => { if (watched.has(tree)) return; watched.add(tree); new MutationObserver(look).observe(tree, { childList: true, subtree: true }); };

  addEventListener("DOMContentLoaded", () => {
    watch(document); look();
    const ready = setInterval(() => {
      const model = typeof Bokeh !== "undefined" && root("theme");
      if (!model) return;
      clearInterval(ready);
      const theme = document.documentElement.dataset.theme;
      if (model.value !== theme) model.value = theme;
      root("done").properties.value.change.connect(() => { waiting(false); document.title = root("done").value; });
      document.title = root("done").value;
      Bokeh.documents[0].on_event("connection_lost", () => { document.getElementById("lost").style.display = "block"; });
    }, 30);
  });
})();
