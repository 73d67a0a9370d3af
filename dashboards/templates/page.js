// Addresses are views: a link with "?" goes through the open connection, and so do back, forward and the filter bar.
"use strict";
(() => {
  const KEPT = ["page", "range", "project", "model", "agent", "session", "provider", "state", "kind", "status", "text"];
  const root = name => Bokeh.documents.flatMap(doc => doc.roots()).find(model => model.name === name);
  const tell = (name, value) => { const model = root(name); if (model) model.value = value; };
  const waiting = on => document.getElementById("main")?.classList.toggle("waiting", on);
  const go = (search, replace, stay) => {
    if (search === location.search) return;
    history[replace ? "replaceState" : "pushState"]({}, "", search);
    waiting(true);
    coming.clear();
    tell("route", search);
    const main = document.getElementById("main");
    main.style.minHeight = stay ? `${main.offsetHeight}px` : ""; // what is looked at stays where it is while the page is made anew
    if (!replace && !stay) window.scrollTo(0, 0);
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
      go(link.getAttribute("href"), false, "stay" in link.dataset);
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
    const word = target(event, "[data-insert]");
    if (word) {
      const field = deep(document, "textarea[name=q]");
      field?.setRangeText(word.dataset.insert, field.selectionStart, field.selectionEnd, "end");
      field?.focus();
    }
    const row = target(event, "tr[data-href]");
    if (row && !target(event, "a, button, summary, select, input") && !getSelection().toString()) go(row.dataset.href);
  });
  // These two do not leave the tree in which they happen, so each tree has its own listener.
  const altered = event => {
    const field = target(event, "[data-filter]");
    if (field) changed(field.dataset.filter, field.value);
  };
  const submitted = event => {
    const form = target(event, "form[data-go]");
    if (!form) return;
    event.preventDefault();
    const given = new URLSearchParams(location.search);
    for (const [name, value] of new FormData(form)) if (value) given.set(name, value); else given.delete(name);
    for (const gone of ["at", "before"]) given.delete(gone);
    go("?" + given.toString());
  };
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
    for (const node of tree.querySelectorAll("[data-end]:not([data-seen])")) { node.scrollTop = node.scrollHeight; node.dataset.seen = ""; }
    for (const node of tree.querySelectorAll("*")) if (node.shadowRoot) { watch(node.shadowRoot); times(node.shadowRoot); }
  };

  // Parts that change by themselves: new HTML is put in the place of the old one node by node, so that what stays stays as it is.
  const same = (from, to) => from.nodeName === to.nodeName && from.getAttribute?.("data-key") === to.getAttribute?.("data-key");
  const morph = (from, to) => {
    if (!from.tagName) { if (from.data !== to.data) from.data = to.data; return; }
    if (from.tagName === "TIME" && from.getAttribute("datetime") === to.getAttribute("datetime")) return;
    for (const { name, value } of [...to.attributes]) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && name !== "open" && name !== "data-seen") from.removeAttribute(name);
    const atEnd = from.hasAttribute("data-end") && from.scrollTop + from.clientHeight >= from.scrollHeight - 4;
    let old = from.firstChild;
    for (const next of [...to.childNodes]) {
      let found = old;
      if (next.dataset?.key) { // what moved is found by its key; what stands before it and is not wanted any more goes at the end
        found = [...from.children].find(node => node.dataset.key === next.dataset.key && same(node, next));
        if (found && found !== old) from.insertBefore(found, old);
      }
      if (found && same(found, next)) { if (found === old) old = old.nextSibling; morph(found, next); }
      else from.insertBefore(next, old);
    }
    while (old) { const gone = old; old = old.nextSibling; gone.remove(); }
    if (atEnd) from.scrollTop = from.scrollHeight;
  };
  const coming = new Map(); // parts whose place is not there yet
  const settle = () => {
    for (const [name, part] of coming) {
      const place = deep(document, `[data-part="${name}"]`);
      if (place) { coming.delete(name); morph(place, part); }
    }
  };
  const renew = html => {
    for (const part of [...new DOMParser().parseFromString(html, "text/html").body.children]) coming.set(part.dataset.part, part);
    settle();
  };
  const watched = new WeakSet();
  let due = false;
  const look = () => { if (due) return; due = true; requestAnimationFrame(() => { due = false; if (coming.size) settle(); times(document); }); };
  const watch = tree => { if (watched.has(tree)) return; watched.add(tree); tree.addEventListener("change", altered); tree.addEventListener("submit", submitted); new MutationObserver(look).observe(tree, { childList: true, subtree: true }); };

  addEventListener("DOMContentLoaded", () => {
    watch(document); look();
    const ready = setInterval(() => {
      const model = typeof Bokeh !== "undefined" && root("theme");
      if (!model) return;
      clearInterval(ready);
      const theme = document.documentElement.dataset.theme;
      if (model.value !== theme) model.value = theme;
      const made = () => { waiting(false); setTimeout(() => { document.getElementById("main").style.minHeight = ""; }, 1000); document.title = root("done").value.replace(/^\d+ /, "") || "ccproxy"; };
      root("done").properties.value.change.connect(made);
      made();
      root("news").properties.value.change.connect(() => renew(root("news").value));
      renew(root("news").value);
      Bokeh.documents[0].on_event("connection_lost", () => { document.getElementById("lost").style.display = "block"; });
    }, 30);
  });
})();
