
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const names = data.names;
  const $ = (id) => document.getElementById(id);
  const grid = $("grid"), space = $("space"), details = $("details"), search = $("search");
  const BESIDE = 12; // rows that are drawn above and below what is seen

  let trace = { ms: 0 }, spans = [], shown = [], places = new Map(), marks = null, active = 0, zoom = [0, 1];
  let height, all = false;
  const drawn = new Map();

  // What is written: text goes in as text only, whatever it says.
  function make(tag, given = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "text") element.textContent = value;
      else if (name === "class") element.className = value;
      else if (name === "click") element.addEventListener("click", value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child));
    return element;
  }

  function number(value) {
    return value === undefined || value === null ? "" : value.toLocaleString("en-US");
  }

  function duration(ms) {
    if (Math.abs(ms) < 10) return `${Number(ms.toFixed(1))} ms`;
    if (Math.abs(ms) < 999.5) return `${ms.toFixed(0)} ms`;
    if (Math.abs(ms) < 59950) return `${(ms / 1000).toFixed(1)} s`;
    return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
  }

  function usd(cost) {
    if (typeof cost !== "number") return cost ?? "";
    return `$${cost >= 0.0001 || !cost ? cost.toFixed(4) : Number(cost.toPrecision(2))}`;
  }

  function count(many, noun) {
    return `${number(many)} ${noun}${many === 1 ? "" : "s"}`;
  }

  // What there is: spans stand in the order of the tree; each knows what is around it and where it ends.
  function choose(index) {
    trace = data.traces[index];
    spans = trace.spans;
    const path = [];
    spans.forEach((span, at) => {
      path.length = span.depth;
      span.parent = span.depth ? path[span.depth - 1] : -1;
      path.push(at);
      span.open = true;
    });
    for (let at = spans.length - 1; at >= 0; at--) {
      spans[at].end = Math.max(spans[at].end || 0, at + 1);
      const around = spans[at].parent;
      if (around >= 0) spans[around].end = Math.max(spans[around].end || 0, spans[at].end);
    }
    active = 0;
    zoom = [0, trace.ms || 1];
    $("trace").value = index;
    details.hidden = true;
    details.replaceChildren();
    summarise();
    filter();
  }

  function summarise() {
    const facts = [
      ["Began", new Date(trace.start).toISOString().replace("T", " ").replace(/\..*/, " UTC")],
      ["Duration", duration(trace.ms)],
      ["Spans", number(spans.length)],
      ["Model calls", number(trace.modelCalls)],
      ["Tool calls", number(trace.toolCalls)],
      ["Tokens in", number(trace.tokensIn) || "unknown"],
      ["Tokens out", number(trace.tokensOut) || "unknown"],
      ["Cost", usd(trace.cost) || "unknown"],
      ["Errors", number(trace.errors)],
    ];
    $("summary").replaceChildren(
      ...facts.map(([name, value]) =>
        make("div", { class: name === "Errors" && trace.errors ? "bad" : null }, make("dt", { text: name }), make("dd", { text: value })),
      ),
    );
  }

  function words(value) {
    if (typeof value === "object" && value !== null) return Object.entries(value).flat().map(words).join(" ");
    return String(value);
  }

  function matches(span, wanted, failed) {
    if (failed && !span.error) return false;
    if (!wanted) return true;
    span.words ??= words([span.name, span.role, span.error, span.message, span.attributes, span.events].filter((each) => each)).toLowerCase();
    return span.words.includes(wanted);
  }

  function filter() {
    const wanted = search.value.trim().toLowerCase(), failed = $("errors").getAttribute("aria-pressed") === "true";
    let found = spans.length;
    marks = null;
    if (wanted || failed) {
      found = 0;
      marks = new Uint8Array(spans.length); // 2: it is what is looked for; 1: something in it is
      for (let at = spans.length - 1; at >= 0; at--) {
        if (matches(spans[at], wanted, failed)) {
          marks[at] = 2;
          found++;
        }
        const around = spans[at].parent;
        if (marks[at] && around >= 0) {
          marks[around] ||= 1;
          spans[around].open = true;
        }
      }
      if (found && marks[active] !== 2) active = marks.indexOf(2);
    }
    $("status").textContent = marks ? `${number(found)} of ${count(spans.length, "span")}` : "";
    lay();
  }

  // Which rows there are, in which order.
  function lay() {
    shown = [];
    places = new Map();
    const inside = new Map();
    for (let at = 0; at < spans.length; ) {
      const span = spans[at];
      if (marks && !marks[at]) {
        at = span.end;
        continue;
      }
      places.set(at, shown.length);
      shown.push(at);
      span.position = (inside.get(span.parent) || 0) + 1;
      inside.set(span.parent, span.position);
      span.group = inside;
      at = span.open ? at + 1 : span.end;
    }
    while (active > 0 && !places.has(active) && spans[active].parent >= 0) active = spans[active].parent;
    if (!places.has(active) && shown.length) active = shown[0];
    grid.setAttribute("aria-rowcount", shown.length + 1);
    draw(true);
  }

  function measure() {
    height = 1.9 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  // Only the rows that are seen are in the page, and the one that has the focus.
  function draw(anew = false) {
    const focused = space.contains(document.activeElement);
    if (anew) {
      drawn.forEach((row) => row.remove());
      drawn.clear();
      measure();
      space.style.height = `${shown.length * height}px`;
      ticks();
    }
    const first = all ? 0 : Math.max(0, Math.floor(grid.scrollTop / height) - BESIDE);
    const last = all ? shown.length : Math.min(shown.length, Math.ceil((grid.scrollTop + grid.clientHeight) / height) + BESIDE);
    const wanted = [];
    for (let place = first; place < last; place++) wanted.push(place);
    const own = places.get(active);
    if (own !== undefined && own < first) wanted.unshift(own);
    else if (own !== undefined && own >= last) wanted.push(own);
    const kept = new Set(wanted.map((place) => shown[place]));
    for (const [at, row] of drawn) {
      if (!kept.has(at)) {
        row.remove();
        drawn.delete(at);
      }
    }
    let next = space.firstChild;
    for (const place of wanted) {
      let row = drawn.get(shown[place]);
      if (row) next = row.nextSibling;
      else {
        row = rowOf(shown[place], place);
        drawn.set(shown[place], row);
        space.insertBefore(row, next);
      }
      const chosen = shown[place] === active;
      row.tabIndex = chosen ? 0 : -1;
      row.setAttribute("aria-selected", chosen);
    }
    if (anew && focused) drawn.get(active)?.focus({ preventScroll: true });
  }

  function hasShown(at) {
    for (let child = at + 1; child < spans[at].end; child = spans[child].end) if (!marks || marks[child]) return true;
    return false;
  }

  function rowOf(at, place) {
    const span = spans[at], around = hasShown(at);
    const row = make(
      "div",
      {
        class: `row${marks && marks[at] === 1 ? " dim" : ""}`,
        role: "row",
        id: `row${at}`,
        "aria-level": span.depth + 1,
        "aria-rowindex": place + 2,
        "aria-posinset": span.position,
        "aria-setsize": span.group.get(span.parent),
        "aria-expanded": around ? String(span.open) : null,
      },
      nameOf(span, around),
      make("span", { role: "gridcell", class: "number", text: duration(span.ms) }),
      make("span", { role: "gridcell", class: "number", text: number(span.tokensIn) }),
      make("span", { role: "gridcell", class: "number", text: number(span.tokensOut) }),
      make("span", { role: "gridcell", class: "number", text: usd(span.cost) }),
      barOf(span),
    );
    row.style.top = `${place * height}px`;
    row.addEventListener("click", (event) => {
      move(at);
      if (event.target.className === "twist" && around) toggle(at, !span.open);
      else show(false);
    });
    return row;
  }

  function nameOf(span, around) {
    const cell = make(
      "span",
      { role: "gridcell", class: "name" },
      make("span", { class: "twist", "aria-hidden": "true", text: around ? (span.open ? "▾" : "▸") : "" }),
      make("span", { class: `role ${span.role}`, text: span.role }),
      span.error && make("span", { class: "failed", text: "✕ failed" }),
      make("span", { class: "label", text: span.name }),
    );
    cell.style.paddingLeft = `${0.25 + Math.min(span.depth, 40) * 0.9}rem`;
    return cell;
  }

  function barOf(span) {
    const cell = make("span", { role: "gridcell", class: `line ${span.role}`, "aria-label": `from ${duration(span.at)} to ${duration(span.at + span.ms)}` });
    const percent = (ms) => ((ms - zoom[0]) / (zoom[1] - zoom[0])) * 100;
    const left = Math.max(-1, percent(span.at)), right = Math.min(101, percent(span.at + Math.max(0, span.ms)));
    if (right >= 0 && left <= 100) {
      const bar = make("span", { class: `bar${span.error ? " bad" : ""}` });
      bar.style.left = `min(${left}%, calc(100% - 2px))`;
      bar.style.width = `${Math.max(0, right - left)}%`;
      cell.append(bar);
    }
    for (const event of (span.events || []).slice(0, 20)) {
      const mark = make("span", { class: "mark" });
      mark.style.left = `${percent(span.at + event.at)}%`;
      cell.append(mark);
    }
    return cell;
  }

  function ticks() {
    $("axis").replaceChildren(
      ...[0, 0.25, 0.5, 0.75].map((part) => {
        const tick = make("i", { text: duration(zoom[0] + part * (zoom[1] - zoom[0])) });
        tick.style.left = `${part * 100}%`;
        return tick;
      }),
    );
    $("axis").setAttribute("aria-label", `Timeline, from ${duration(zoom[0])} to ${duration(zoom[1])}`);
    $("whole").disabled = zoom[0] === 0 && zoom[1] === (trace.ms || 1);
  }

  // Where one is.
  function move(at) {
    active = at;
    const top = places.get(at) * height, room = grid.clientHeight - $("head").offsetHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + height > grid.scrollTop + room) grid.scrollTop = top + height - room;
    draw();
    drawn.get(at)?.focus({ preventScroll: true });
    if (!details.hidden) fill();
  }

  function step(by) {
    if (shown.length) move(shown[Math.max(0, Math.min(shown.length - 1, places.get(active) + by))]);
  }

  function toggle(at, open) {
    spans[at].open = open;
    lay();
  }

  function reveal(at) {
    for (let around = spans[at].parent; around >= 0; around = spans[around].parent) spans[around].open = true;
    lay();
    move(at);
  }

  function nextError() {
    for (let by = 1; by <= spans.length; by++) {
      const at = (active + by) % spans.length;
      if (spans[at].error && (!marks || marks[at])) return reveal(at);
    }
  }

  function zoomTo(from, to) {
    zoom = [from, Math.max(to, from + 0.001)];
    draw(true);
  }

  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    PageDown: () => step(Math.max(1, Math.floor(grid.clientHeight / height) - 2)),
    PageUp: () => step(-Math.max(1, Math.floor(grid.clientHeight / height) - 2)),
    Home: () => step(-shown.length),
    End: () => step(shown.length),
    ArrowRight: () => {
      if (!hasShown(active)) return;
      if (!spans[active].open) toggle(active, true);
      else step(1);
    },
    ArrowLeft: () => {
      if (spans[active].open && hasShown(active)) toggle(active, false);
      else if (spans[active].parent >= 0) move(spans[active].parent);
    },
    Enter: () => show(true),
    " ": () => show(true),
    Escape: leave,
    z: () => shown.length && zoomTo(spans[active].at, spans[active].at + spans[active].ms),
    0: () => zoomTo(0, trace.ms || 1),
    n: nextError,
  };

  // What a span says.
  function show(enter) {
    details.hidden = false;
    fill();
    draw(true);
    if (enter) $("name").focus();
  }

  function leave() {
    if (details.hidden) return;
    details.hidden = true;
    details.replaceChildren();
    draw(true);
    move(active);
  }

  function fill() {
    const span = spans[active], said = span.attributes || {};
    const own = new Set(Object.values(names));
    const rest = Object.entries(said).filter(([name]) => !own.has(name));
    details.replaceChildren(
      ...[
        make(
          "header",
          {},
          make("h2", { id: "name", tabindex: "-1", text: span.name }),
          make("button", { type: "button", text: "Close", "aria-label": "Close details", click: leave }),
        ),
        span.error && make("p", { class: "why", text: `✕ ${span.error}${span.message ? `: ${span.message}` : ""}` }),
        said[names.description] && make("p", { text: said[names.description] }),
        table(factsOf(span)),
        ...section("Arguments", said[names.arguments], json),
        ...section("Result", said[names.result], json),
        ...section("Instructions", said[names.system], (parts) => partsOf(parts)),
        ...section("Messages in", said[names.input], messages),
        ...section("Messages out", said[names.output], messages),
        ...section("Events", span.events, (events) => events.map(eventOf)),
        ...section("Links", span.links, (links) => links.map(linkOf)),
        ...section("Tools", said[names.definitions], json),
        ...section("Attributes", rest.length ? rest : undefined, (pairs) => [table(pairs)]),
        ...section("Resource", span.resource, (given) => [table(Object.entries(given))]),
      ].filter((each) => each),
    );
    details.scrollTop = 0;
  }

  function factsOf(span) {
    return [
      ["began", `${duration(span.at)} after the trace`],
      ["took", duration(span.ms)],
      ["tokens", span.tokensIn === undefined && span.tokensOut === undefined ? undefined : `${number(span.tokensIn) || "?"} in, ${number(span.tokensOut) || "?"} out`],
      ["cost", usd(span.cost) || undefined],
      ["kind", span.kind],
      ["made by", span.scope],
      ["span", span.id],
      ["inside", span.around && `${span.around}, which is not in the file`],
      ["trace", trace.id],
    ].filter(([, value]) => value !== undefined && value !== "");
  }

  function table(pairs) {
    const rows = pairs.map(([name, value]) => make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: plain(value) })));
    return make("table", {}, make("tbody", {}, ...rows));
  }

  function plain(value) {
    return typeof value === "object" && value !== null ? JSON.stringify(value, null, 1) : String(value);
  }

  function section(title, value, shownAs) {
    if (value === undefined || value === null) return [];
    return [make("h3", { text: title }), ...[shownAs(parsed(value))].flat()];
  }

  function parsed(value) {
    if (typeof value !== "string") return value;
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }

  function json(value) {
    return make("pre", { tabindex: "0", text: typeof value === "string" ? value : JSON.stringify(value, null, 2) });
  }

  function messages(given) {
    if (!Array.isArray(given)) return [json(given)];
    return given.map((message) =>
      make("div", { class: "said" }, make("b", { text: [message?.role, message?.name].filter((each) => each).join(" ") || "message" }), ...partsOf(message?.parts ?? message)),
    );
  }

  function partsOf(parts) {
    if (!Array.isArray(parts)) return [json(parts)];
    return parts.flatMap((part) => {
      const kind = part?.type;
      if (kind === "text" && typeof part.content === "string") return [json(part.content)];
      if (kind === "tool_call") return [make("div", { text: `calls ${part.name}` }), json(parsed(part.arguments) ?? "")];
      if (kind === "tool_call_response") return [make("div", { text: `result of ${part.id ?? "a call"}` }), json(parsed(part.response ?? part.result) ?? "")];
      if (typeof part?.content === "string") return [make("div", { text: String(kind) }), json(part.content)];
      return [json(part)];
    });
  }

  function eventOf(event) {
    const pairs = Object.entries(event.attributes || {});
    return make("div", { class: "said" }, make("b", { text: event.name }), make("span", { text: ` at ${duration(event.at)}` }), pairs.length ? table(pairs) : null);
  }

  function linkOf(link) {
    const pairs = Object.entries(link.attributes || {});
    const there = data.traces.findIndex((each) => each.id === link.trace);
    const at = there < 0 ? -1 : data.traces[there].spans.findIndex((span) => span.id === link.span);
    const go = () => {
      if (data.traces[there] !== trace) choose(there);
      clear();
      reveal(at);
    };
    return make(
      "div",
      { class: "said" },
      make("div", { text: `span ${link.span} of trace ${link.trace}` }),
      at >= 0 ? make("button", { type: "button", text: `Go to ${data.traces[there].spans[at].name}`, click: go }) : make("div", { text: "which is not in the file" }),
      pairs.length ? table(pairs) : null,
    );
  }

  function clear() {
    search.value = "";
    $("errors").setAttribute("aria-pressed", "false");
    filter();
  }

  // What one can do.
  grid.addEventListener("scroll", () => draw(), { passive: true });
  grid.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!event.target.closest(".row") || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, key)) return;
    event.preventDefault();
    KEYS[key]();
  });
  details.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
  search.addEventListener("input", filter);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      if (shown.length) move(active);
    } else if (event.key === "Escape") {
      search.value = "";
      filter();
    }
  });
  $("errors").addEventListener("click", () => {
    $("errors").setAttribute("aria-pressed", String($("errors").getAttribute("aria-pressed") !== "true"));
    filter();
  });
  for (const [id, open] of [["open", true], ["close", false]]) {
    $(id).addEventListener("click", () => {
      spans.forEach((span) => (span.open = open));
      lay();
    });
  }
  $("zoom").addEventListener("click", () => KEYS.z());
  $("whole").addEventListener("click", () => KEYS[0]());
  $("trace").addEventListener("change", () => choose(Number($("trace").value)));
  addEventListener("resize", () => draw(true));
  addEventListener("beforeprint", () => {
    all = true;
    draw(true);
  });
  addEventListener("afterprint", () => {
    all = false;
    draw(true);
  });

  $("flaws").append(...data.flaws.map((flaw) => make("li", { text: flaw })));
  $("flaws").hidden = !data.flaws.length;
  $("trace").append(
    ...data.traces.map((each, index) =>
      make("option", { value: index, text: `${index + 1}. ${each.spans[0].name}, ${duration(each.ms)}, ${count(each.spans.length, "span")}${each.errors ? `, ${count(each.errors, "error")}` : ""}` }),
    ),
  );
  $("choice").hidden = data.traces.length < 2;
  if (data.traces.length) choose(data.traces.length - 1);
})();
