// What the page asks the server.

import { complain } from "./parts.js";

export const KEY = "agentkit.key"; // where the tab keeps the key

let visit = new AbortController(); // what is asked for what is shown: it ends with the next visit
let wantKey = () => {};

export const visiting = () => visit.signal;
export const endVisit = () => visit.abort();

export function newVisit() {
  visit.abort();
  visit = new AbortController();
  return visit.signal;
}

export function whenKeyIsWanted(ask) {
  wantKey = ask;
}

export class Refused extends Error {
  constructor(message, status, wait) {
    super(message);
    this.status = status;
    this.wait = wait || 0;
  }
}

export async function ask(method, path, body, signal = visiting()) {
  const headers = { "OpenAI-Beta": "assistants=v2" }, key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, credentials: "omit", cache: "no-store" });
  } catch (error) {
    throw signal.aborted ? error : new Refused("The server does not answer.", 0);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  throw new Refused(told?.error?.message || `The server answers with ${answer.status}.`, answer.status, Number(answer.headers.get("retry-after")));
}

export async function read(path, signal = visiting()) {
  return (await ask("GET", path, undefined, signal)).json();
}

export async function readAll(path, signal) {
  const all = [];
  for (let after = ""; ; after = `&after=${encodeURIComponent(all.at(-1).id)}`) {
    const got = await read(`${path}?limit=100&order=asc${after}`, signal);
    all.push(...got.data);
    if (!got.has_more || !got.data.length) return all;
  }
}

export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { name: "", data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) event.name = line.slice(6).trim();
        if (line.startsWith("data:")) event.data += line.slice(5).trim();
      }
      if (!event.data || event.data === "[DONE]") continue;
      event.data = JSON.parse(event.data);
      if (event.data.error) throw new Refused(event.data.error.message, 500);
      yield event;
    }
  }
}

// What goes wrong is said; a server that wants a key is given one.
export async function guarded(work, signal = visiting()) {
  try {
    complain("");
    return await work();
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return undefined;
    if (error.status === 401) wantKey(error.message);
    else complain(error.message);
    return undefined;
  }
}

// Looks again and again: soon while something goes on, and ever later while nothing changes.
export function watch(look, isBusy) {
  const signal = visiting();
  let wake = () => {}, wait = 0;
  const pause = () =>
    new Promise((done) => {
      const timer = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", done, { once: true, signal }) : done()), wait);
      wake = () => {
        clearTimeout(timer);
        done();
      };
      signal.addEventListener("abort", wake, { once: true });
    });
  (async () => {
    let lost = false;
    while (!signal.aborted) {
      const [least, most] = isBusy() ? [400, 4000] : [2000, 60000];
      wait = Math.min(most, Math.max(least, wait));
      await pause();
      try {
        const changed = !signal.aborted && (await look());
        wait = changed ? 0 : wait * 1.5;
        if (lost) complain("");
        lost = false;
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401) return wantKey(error.message);
        complain(`${error.message} The page goes on trying.`);
        lost = true;
        wait = Math.max(1000, wait * 2, error.wait * 1000);
      }
    }
  })();
  return () => {
    wait = 0;
    wake();
  };
}
