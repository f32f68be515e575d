// A chat with a model or an agent.

import { begin, button, main, make, say, stable, sync, tokens } from "./parts.js";
import { ask, events, guarded, read, visiting } from "./server.js";
import { bubble, composer, follow } from "./said.js";

const ENDS = { length: "It was cut off at the limit of tokens.", content_filter: "It was withheld by a filter." };

let talk = []; // as long as the page is open

export function forgetChat() {
  talk = [];
}

export async function chat() {
  const signal = visiting(), models = (await read("v1/models")).data;
  begin("Chat");
  const model = make("input", { id: "model", list: "models", required: true, autocomplete: "off", value: sessionStorage.getItem("agentkit.model") ?? models[0]?.id ?? "" });
  const log = make("div", { class: "log", role: "log", "aria-label": "Messages", tabindex: "0" });
  let going;
  const form = composer((words, sent) => guarded(() => send(words, sent)), () => going?.abort(), make("label", { for: "model", text: "Model or agent" }), model,
    make("datalist", { id: "models" }, models.map((each) => make("option", { value: each.id }))));
  const anew = button("New chat", () => {
    going?.abort();
    talk = [];
    fill();
    say("New chat");
  });
  main.append(make("p", {}, anew), log, form);

  const draw = stable((each) =>
    bubble(each.role, undefined, [
      each.thought && make("details", {}, make("summary", { text: "Reasoning" }), make("p", { class: "text dim", text: each.thought })),
      each.text && make("p", { class: "text", text: each.text }),
      each.note && make("p", { class: each.bad ? "why" : "dim", text: each.note }),
    ], each.busy));
  const fill = () => follow(log, () => sync(log, talk, draw));

  const send = async (words, sent) => {
    const mine = { id: `m${talk.length}`, role: "user", text: words }, answer = { id: `m${talk.length + 1}`, role: model.value, text: "", busy: true };
    const past = [...talk, mine].filter((each) => each.text).map((each) => ({ role: each.role === "user" ? "user" : "assistant", content: each.text }));
    sessionStorage.setItem("agentkit.model", model.value);
    const ours = (talk = [...talk, mine, answer]);
    const note = (text, bad) => Object.assign(answer, { note: text, bad });
    going = new AbortController();
    const leave = () => going.abort();
    signal.addEventListener("abort", leave);
    form.going(true);
    fill();
    say("The answer is being written.");
    try {
      const told = await ask("POST", "v1/chat/completions", { model: answer.role, messages: past, stream: true, stream_options: { include_usage: true } }, going.signal);
      sent();
      let due = false;
      for await (const { data } of events(told)) {
        piece(answer, data);
        if (!due) requestAnimationFrame(() => {
          due = false;
          if (talk === ours) fill();
        });
        due = true;
      }
      say("The answer is complete.");
    } catch (error) {
      if (going.signal.aborted) {
        note("It was stopped.");
        say("The answer was stopped.");
      } else if (answer.text || error.status === 500) note(error.message, true);
      else {
        if (talk === ours) talk = talk.slice(0, -2);
        throw error;
      }
    } finally {
      answer.busy = false;
      signal.removeEventListener("abort", leave);
      if (!signal.aborted) {
        form.going(false);
        fill();
      }
    }
  };
  fill();
}

function piece(answer, { choices, usage }) {
  const [{ delta = {}, finish_reason: end } = {}] = choices ?? [];
  answer.text += (delta.content ?? "") + (delta.refusal ?? "");
  if (delta.reasoning_content) answer.thought = (answer.thought ?? "") + delta.reasoning_content;
  if (usage) answer.used = tokens(usage);
  if (ENDS[end]) Object.assign(answer, { ended: ENDS[end], bad: true });
  answer.note = [answer.ended, answer.used].filter((each) => each).join(" ");
}
