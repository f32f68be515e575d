// The lists: what there is, a page at a time.

import { ACTIVE, badge, begin, button, code, count, facts, link, main, make, number, say, size, stable, sync, tokens, when } from "./parts.js";
import { ask, guarded, read, watch } from "./server.js";
import { took } from "./runs.js";

const PAGE = 50;

export async function list(title, path, line, { live = false, none, intro } = {}) {
  begin(title);
  const draw = stable(line);
  const rows = make("ul", { class: "list", "aria-label": title }), empty = make("p", { class: "dim", text: none, hidden: true });
  const more = button("Show more", () => guarded(next), { hidden: true });
  main.append(...(intro ? [make("p", { class: "dim", text: intro })] : []), rows, empty, more);
  let items = [], told = "";

  const get = (after) => read(`${path}?limit=${PAGE}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  const fill = () => {
    sync(rows, items, draw);
    empty.hidden = items.length > 0;
    rows.hidden = !items.length;
  };
  const next = async () => {
    const got = await get(items.at(-1)?.id), from = items.length;
    items = [...items, ...got.data];
    more.hidden = !got.has_more;
    fill();
    if (from) rows.children[from]?.querySelector("a, summary")?.focus();
    say(`${count(items.length, "entry").replace("entrys", "entries")} shown${got.has_more ? ", there are more" : ""}`);
  };
  const again = async () => {
    const got = await get(), said = JSON.stringify(got.data);
    if (said === told) return false;
    told = said;
    const known = new Set(got.data.map((item) => item.id));
    const last = items.findLastIndex((item) => known.has(item.id));
    items = last < 0 || !got.has_more ? got.data : [...got.data, ...items.slice(last + 1)];
    if (!got.has_more || last < 0) more.hidden = !got.has_more;
    fill();
    return true;
  };
  await next();
  told = JSON.stringify(items);
  if (live) watch(again, () => items.some((item) => ACTIVE.has(item.status ?? item.last_run?.status)));
}

export function row(head, ...rest) {
  return make("li", {}, head, make("div", { class: "beside" }, rest.filter((each) => each).map((each) => (typeof each === "string" ? make("span", { text: each }) : each))));
}

export function threadList() {
  return list(
    "Threads",
    "agentkit/threads",
    (each) => row(link(each.first_words.trim() || each.id, "threads", each.id), each.last_run && badge(each.last_run.status), when(each.created_at), each.first_words.trim() && each.id),
    { live: true, none: "There are no threads yet. An assistant's page begins one." },
  );
}

export function runs() {
  return list(
    "Runs",
    "agentkit/runs",
    (run) => row(link(run.id, "threads", run.thread_id, run.id), badge(run.status), run.model, when(run.created_at), took(run), tokens(run.usage), run.last_error?.message),
    { live: true, none: "There are no runs yet." },
  );
}

export function files() {
  return list(
    "Files",
    "v1/files",
    (file) => row(make("span", { class: "head", text: file.filename }), size(file.bytes), file.purpose, when(file.created_at), file.id),
    { none: "There are no files yet." },
  );
}

export function stores(id) {
  if (id) return store(id);
  return list(
    "Vector stores",
    "v1/vector_stores",
    (each) => row(link(each.name || each.id, "stores", each.id), badge(each.status), `${count(each.file_counts.total, "file")}${each.file_counts.failed ? `, ${number(each.file_counts.failed)} failed` : ""}`, size(each.usage_bytes), when(each.created_at), each.name && each.id),
    { live: true, none: "There are no vector stores yet." },
  );
}

function store(id) {
  return list(
    "Files of a vector store",
    `v1/vector_stores/${encodeURIComponent(id)}/files`,
    (file) => row(make("span", { class: "head", text: file.id }), badge(file.status), size(file.usage_bytes), when(file.created_at), file.last_error?.message),
    { live: true, none: "There are no files in it.", intro: id },
  );
}

export async function assistants(id) {
  if (!id) return list("Assistants", "v1/assistants", (each) => row(link(each.name || each.id, "assistants", each.id), each.model, each.description, when(each.created_at), each.name && each.id), { none: "There are no assistants yet. Clients of the API create them." });
  const found = await read(`v1/assistants/${encodeURIComponent(id)}`);
  begin(found.name || "Assistant", found.name && id);
  const start = async () => {
    const made = await (await ask("POST", "v1/threads", {})).json();
    location.hash = `#/threads/${made.id}/${encodeURIComponent(id)}`;
  };
  main.append(
    make("p", {}, button("Talk to it in a new thread", () => guarded(start), { class: "first" })),
    facts([["Model", found.model], ["Description", found.description], ["Created", when(found.created_at)], ["Id", id]]),
    ...(found.instructions ? [make("h2", { text: "Instructions" }), make("p", { class: "text", text: found.instructions })] : []),
    ...(found.tools.length ? [make("h2", { text: "Tools" }), make("ul", { class: "list" }, found.tools.map(tool))] : []),
  );
  return undefined;
}

function tool(given) {
  if (given.type !== "function") return make("li", { text: given.type });
  const { name, description, parameters } = given.function;
  return make("li", {}, make("strong", { text: name }), description && make("p", { class: "text", text: description }), parameters && code(parameters, `Parameters of ${name}`));
}
