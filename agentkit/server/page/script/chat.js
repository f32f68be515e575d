// A chat with a model or an agent.

import { begin, button, main, make, say, soon, stable, sync, tokens } from "./parts.js";
import { ask, events, guarded, read, visiting } from "./server.js";
import { bubble, composer, follow } from "./said.js";

const ENDS = { length: "It was cut off at the limit of tokens.", content_filter: "It was withheld by a filter." };
const MODEL = "agentkit.model"; // where the tab keeps which model was asked last

let last = 0;
const nextId = () => `said${++last}`;
let talk = []; // what was said, as long as the page is open

export function forgetChat() {
  talk = [];
}

export async function chat() {
  const signal = visiting(), models = (await read("v1/models")).data;
  const model = make("input", { id: "model", list: "models", required: true, autocomplete: "off", value: sessionStorage.getItem(MODEL) ?? models[0]?.id ?? "" });
  const names = make("datalist", { id: "models" }, models.map((each) => make("option", { value: each.id })));
  const log = make("div", { class: "log", role: "log", "aria-label": "Messages", tabindex: "0" });
  const draw = stable(said), fill = () => follow(log, () => sync(log, talk, draw)), filled = soon(fill);
  let going;

  const form = composer((words, sent) => guarded(() => send(words, sent)), () => going?.abort(), make("label", { for: "model", text: "Model or agent" }), model, names);
  const send = async (words, sent) => {
    const before = talk;
    going = new AbortController();
    signal.addEventListener("abort", () => going.abort(), { once: true });
    sessionStorage.setItem(MODEL, model.value);
    talk = [...talk, { id: nextId(), isMine: true, who: "user", text: words }];
    form.going(true);
    say("The answer is being written.");
    try {
      await answered(model.value, going.signal, filled, sent);
    } catch (error) {
      talk = before;
      throw error;
    } finally {
      if (!signal.aborted) {
        form.going(false);
        fill();
      }
    }
  };
  const anew = () => {
    going?.abort();
    forgetChat();
    fill();
    say("New chat");
  };
  begin("Chat");
  main.append(make("p", {}, button("New chat", anew)), log, form);
  fill();
}

// Have the model answer what was said so far.
async function answered(model, signal, happened, sent) {
  const messages = talk.filter((each) => each.text).map((each) => ({ role: each.isMine ? "user" : "assistant", content: each.text }));
  let answer = { id: nextId(), who: model, text: "", isBusy: true };
  const put = (changes) => {
    const at = talk.findIndex((each) => each.id === answer.id);
    answer = { ...answer, ...changes };
    if (at >= 0) talk = talk.with(at, answer);
    happened();
  };
  talk = [...talk, answer];
  happened();
  try {
    const told = await ask("POST", "v1/chat/completions", { model, messages, stream: true, stream_options: { include_usage: true } }, signal);
    sent();
    for await (const { data } of events(told)) put(grown(answer, data));
    say("The answer is complete.");
  } catch (error) {
    if (signal.aborted) {
      put({ note: "It was stopped." });
      say("The answer was stopped.");
    } else if (answer.text) put({ note: error.message, isBad: true });
    else throw error;
  } finally {
    put({ isBusy: false });
  }
}

function grown(answer, { choices, usage }) {
  const [{ delta = {}, finish_reason: end } = {}] = choices ?? [];
  const ended = ENDS[end] ?? answer.ended, used = tokens(usage) ?? answer.used;
  return {
    text: answer.text + (delta.content ?? "") + (delta.refusal ?? ""),
    thought: (answer.thought ?? "") + (delta.reasoning_content ?? ""),
    ended,
    used,
    isBad: Boolean(ended),
    note: [ended, used].filter((each) => each).join(" "),
  };
}

function said({ who, isMine, text, thought, note, isBad, isBusy }) {
  return bubble(isMine ? "user" : who, undefined, [
    thought && make("details", {}, make("summary", { text: "Reasoning" }), make("p", { class: "text dim", text: thought })),
    text && make("p", { class: "text", text }),
    note && make("p", { class: isBad ? "why" : "dim", text: note }),
  ], isBusy);
}
