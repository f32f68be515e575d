// What is known of a thread: what was said on it, its runs, their steps, and where their time went.

import { ACTIVE, merged, upsert } from "./parts.js";
import { events, read, readAll } from "./server.js";

const PAGE = 50;

export class Story {
  messages = []; // as all lists here: the oldest first
  runs = [];
  steps = new Map();
  times = new Map();
  hasEarlierMessages = false;
  hasEarlierRuns = false;
  isHeard = false; // whether a run tells of itself at this moment, so that what is known may be newer than what is read
  #path;
  #place;
  #signal;
  #due = new Set(); // runs whose steps are to be read again, whatever was heard of them

  constructor(id, signal) {
    this.#place = `threads/${encodeURIComponent(id)}`;
    this.#path = `v1/${this.#place}`;
    this.#signal = signal;
  }

  get active() {
    return this.runs.find((run) => ACTIVE.has(run.status));
  }

  get said() {
    return JSON.stringify([this.messages, this.runs, [...this.steps], [...this.times]]);
  }

  // Look at what is there now; whether something has changed.
  async look(isOpen) {
    const before = this.said, had = new Map(this.runs.map((run) => [run.id, run.status]));
    const [said, ran] = await Promise.all([this.#read(`messages?limit=${this.messages.length ? 20 : PAGE}`), this.#read("runs?limit=10")]);
    if (!this.messages.length) this.hasEarlierMessages = said.has_more;
    if (!this.runs.length) this.hasEarlierRuns = ran.has_more;
    this.messages = merged(this.messages, said.data.reverse(), this.isHeard);
    this.runs = merged(this.runs, ran.data.reverse(), this.isHeard);
    for (const { id, status } of this.runs) {
      const isDue = ACTIVE.has(status) || had.get(id) !== status || this.#due.has(id) || !this.steps.has(id);
      if (isDue && isOpen(id)) await this.readSteps(id);
    }
    return this.said !== before;
  }

  async readSteps(run) {
    this.#due.delete(run);
    const place = `${this.#place}/runs/${encodeURIComponent(run)}`;
    const [steps, times] = await Promise.all([readAll(`v1/${place}/steps`, this.#signal), read(`agentkit/${place}/trace`, this.#signal)]);
    this.times.set(run, times.data);
    this.steps.set(run, merged(this.steps.get(run) ?? [], steps, this.isHeard));
  }

  async readRun(id) {
    if (this.runs.some((run) => run.id === id)) return;
    this.runs = [await this.#read(`runs/${encodeURIComponent(id)}`), ...this.runs];
    await this.readSteps(id);
  }

  async readEarlierMessages() {
    const got = await this.#read(`messages?limit=${PAGE}&after=${encodeURIComponent(this.messages[0].id)}`);
    this.hasEarlierMessages = got.has_more;
    this.messages = [...got.data.reverse(), ...this.messages];
  }

  async readEarlierRuns() {
    const got = await this.#read(`runs?limit=10&after=${encodeURIComponent(this.runs[0].id)}`);
    this.hasEarlierRuns = got.has_more;
    this.runs = [...got.data.reverse(), ...this.runs];
  }

  // What a run tells of itself while it goes on.
  async hear(answer, happened) {
    this.isHeard = true;
    try {
      for await (const { data } of events(answer)) {
        this.#note(data);
        happened(data);
      }
    } finally {
      this.isHeard = false;
    }
  }

  note(run) {
    this.runs = upsert(this.runs, run);
    this.#due.add(run.id);
  }

  #note(data) {
    if (data.object === "thread.run") this.note(data);
    else if (data.object === "thread.run.step") this.steps.set(data.run_id, upsert(this.steps.get(data.run_id) ?? [], data));
    else if (data.object === "thread.message") this.messages = upsert(this.messages, data);
    else if (data.object === "thread.message.delta") this.messages = this.messages.map((each) => (each.id === data.id ? grown(each, data.delta) : each));
  }

  #read(path) {
    return read(`${this.#path}/${path}`, this.#signal);
  }
}

function grown(message, delta) {
  const content = [...message.content];
  for (const { index, ...piece } of delta.content ?? []) {
    const had = content[index];
    if (piece.type === "text") {
      const value = (had?.text.value ?? "") + (piece.text?.value ?? "");
      content[index] = { type: "text", text: { value, annotations: [...(had?.text.annotations ?? []), ...(piece.text?.annotations ?? [])] } };
    } else if (piece.type === "refusal") content[index] = { type: "refusal", refusal: (had?.refusal ?? "") + (piece.refusal ?? "") };
  }
  return { ...message, content };
}
