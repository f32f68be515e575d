// What the page is made of. Text goes in as text only, whatever it says.

export const byId = (id) => document.getElementById(id);
export const main = byId("main");
export const ACTIVE = new Set(["queued", "in_progress", "requires_action", "cancelling"]);
const BAD = new Set(["failed", "expired", "incomplete", "cancelled"]);

export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (name === "click" || name === "submit") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child));
  return element;
}

export function button(text, click, given = {}) {
  return make("button", { type: "button", text, click, ...given });
}

export function link(text, ...path) {
  return make("a", { href: `#/${path.map(encodeURIComponent).join("/")}`, text });
}

export function number(value) {
  return typeof value === "number" ? value.toLocaleString("en-US") : "";
}

export function count(many, noun) {
  return `${number(many)} ${noun}${many === 1 ? "" : "s"}`;
}

export function size(bytes) {
  if (bytes < 1000) return count(bytes, "byte");
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function duration(seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function exact(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(2)} s` : duration(ms / 1000);
}

export function when(seconds) {
  const date = new Date(seconds * 1000);
  return make("time", { datetime: date.toISOString(), text: date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) });
}

export function badge(status) {
  const sort = BAD.has(status) ? "bad" : ACTIVE.has(status) ? "going" : "done";
  return make("span", { class: `badge ${sort}`, text: String(status).replaceAll("_", " ") });
}

export function tokens(usage) {
  return usage ? `${number(usage.prompt_tokens)} tokens in, ${number(usage.completion_tokens)} out` : undefined;
}

export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return make("dl", { class: "facts" }, known.map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", {}, value))));
}

export function code(value, label) {
  let text = value;
  try {
    text = JSON.stringify(typeof value === "string" ? JSON.parse(value) : value, null, 2);
  } catch {
    // it is no JSON, so it is shown as it is
  }
  return make("pre", { tabindex: "0", role: "region", "aria-label": label, text });
}

export function say(text) {
  byId("status").textContent = text;
}

export function complain(text) {
  byId("trouble").replaceChildren(...(text ? [make("p", { text })] : []));
}

// A list on the page -> the one that should be there: what has not changed keeps its element, and the focus.
export function sync(parent, items, draw) {
  const had = new Map([...parent.children].map((element) => [element.dataset.id, element]));
  let next = parent.firstElementChild;
  for (const item of items) {
    let element = had.get(item.id);
    had.delete(item.id);
    const drawn = draw(item, element);
    if (element && drawn !== element) {
      const held = element.contains(document.activeElement);
      if (next === element) next = drawn;
      element.replaceWith(drawn);
      if (held) drawn.querySelector("a, summary, button")?.focus({ preventScroll: true });
    }
    drawn.dataset.id = item.id;
    if (drawn === next) next = next.nextElementSibling;
    else parent.insertBefore(drawn, next);
  }
  had.forEach((element) => element.remove());
}

// An element is drawn anew only where what it shows has changed.
export function stable(draw) {
  const seen = new WeakMap();
  return (item, before) => {
    const had = before && seen.get(before);
    if (had?.item === item) return before;
    const said = JSON.stringify(item);
    const element = had?.said === said ? before : draw(item);
    seen.set(element, { item, said });
    return element;
  };
}

// What is known, and a later look at a part of it, in the same order; `ahead`: what is known may be newer.
export function merged(known, page, ahead = false) {
  const old = new Map(known.map((item) => [item.id, item]));
  const got = new Set(page.map((item) => item.id));
  const from = known.findIndex((item) => got.has(item.id)), to = known.findLastIndex((item) => got.has(item.id));
  const newer = (item) => ahead && item.status === "in_progress" && old.has(item.id);
  return [
    ...(from < 0 ? [] : known.slice(0, from)),
    ...page.map((item) => (newer(item) ? old.get(item.id) : item)),
    ...(ahead ? known.slice(to + 1) : []),
  ];
}

export function upsert(list, item) {
  const at = list.findIndex((each) => each.id === item.id);
  return at < 0 ? [...list, item] : list.with(at, item);
}

export function begin(title, id) {
  document.title = `${title} · agentkit`;
  main.replaceChildren(make("h1", { tabindex: "-1" }, make("span", { text: title }), id && make("small", { text: ` ${id}` })));
}

// Something that is done once before the page is next drawn, however often it is asked for.
export function soon(work) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      work();
    });
  };
}
