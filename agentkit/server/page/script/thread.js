// The page of a thread.

import { begin, button, main, make, say, soon, stable, sync } from "./parts.js";
import { ask, guarded, read, Refused, visiting, watch } from "./server.js";
import { runView } from "./runs.js";
import { composer, follow, messageView } from "./said.js";
import { Story } from "./story.js";

export async function thread(id, beside) {
  const signal = visiting(), path = `v1/threads/${encodeURIComponent(id)}`;
  const wanted = beside?.startsWith("run_") ? beside : undefined;
  await read(path);
  const known = (await read("v1/assistants?limit=100")).data;
  const story = new Story(id, signal), views = new Map();
  const isOpen = (run) => views.get(run)?.open ?? run === (wanted ?? story.runs.at(-1).id);
  let wake = () => {};

  const page = layOut(known, {
    messages: () => guarded(async () => {
      const top = page.log.firstElementChild;
      await story.readEarlierMessages();
      fill();
      top?.scrollIntoView({ block: "nearest" });
    }),
    runs: () => guarded(() => story.readEarlierRuns().then(fill)),
    send: (words, sent) => guarded(() => send(words, sent)),
    stop: () => guarded(stop),
  });
  const viewOf = (run) => {
    const opened = () => story.steps.has(run.id) || guarded(() => story.readSteps(run.id).then(fill));
    if (!views.has(run.id)) views.set(run.id, runView(isOpen(run.id), opened));
    views.get(run.id).fill(run, story.steps.get(run.id) ?? [], story.times.get(run.id) ?? [], submit);
    return views.get(run.id);
  };
  const fill = () => {
    if (signal.aborted) return;
    page.fill(story, viewOf);
  };
  const filled = soon(fill);
  const hear = async (answer) => {
    try {
      await story.hear(answer, (data) => {
        filled();
        if (data.status === "queued") wake(); // the user's own words are on the thread
      });
    } finally {
      fill();
      if (!signal.aborted) wake();
    }
  };
  const send = async (words, sent) => {
    if (!page.choice.value) throw new Refused("There is no assistant to talk to; clients of the API create them.", 400);
    const message = { role: "user", content: words };
    page.form.going(true, false);
    try {
      const answer = await ask("POST", `${path}/runs`, { assistant_id: page.choice.value, stream: true, additional_messages: [message] }, signal);
      sent();
      await hear(answer);
    } finally {
      fill();
    }
  };
  const stop = async () => {
    if (story.active) story.note(await (await ask("POST", `${path}/runs/${story.active.id}/cancel`, {}, signal)).json());
    fill();
    wake();
  };
  const submit = (run, given) =>
    guarded(async () => hear(await ask("POST", `${path}/runs/${run.id}/submit_tool_outputs`, { tool_outputs: given, stream: true }, signal)));

  const look = async () => {
    const hasChanged = await story.look(isOpen);
    fill();
    return hasChanged;
  };
  begin("Thread", id);
  main.append(page.element);
  await look();
  if (wanted) await story.readRun(wanted);
  fill();
  page.speakTo(wanted ? undefined : (beside ?? story.runs.at(-1)?.assistant_id));
  page.log.scrollTop = page.log.scrollHeight;
  wake = watch(look, () => Boolean(story.active));
}

function layOut(assistants, { messages, runs, send, stop }) {
  const choice = make("select", { id: "assistant" }, assistants.map((each) => make("option", { value: each.id, text: each.name || each.id })));
  const log = make("div", { class: "log", role: "log", "aria-label": "Messages", tabindex: "0" });
  const earlier = button("Earlier messages", messages, { hidden: true }), older = button("Earlier runs", runs, { hidden: true });
  const list = make("div", { class: "runs" }), none = make("p", { class: "dim", text: "There are no runs yet." });
  const form = composer(send, stop, make("label", { for: "assistant", text: "Assistant" }), choice);
  const element = make("div", { class: "two" },
    make("section", { "aria-labelledby": "said" }, make("h2", { id: "said", text: "Messages" }), earlier, log, form),
    make("section", { "aria-labelledby": "ran" }, make("h2", { id: "ran", text: "Runs" }), none, list, older));
  const draw = stable(messageView);
  let told = "";

  const fill = (story, viewOf) => {
    const { active } = story, newest = story.runs.at(-1), news = newest ? `Run ${newest.status.replaceAll("_", " ")}` : "";
    follow(log, () => sync(log, story.messages, draw));
    sync(list, [...story.runs].reverse(), viewOf);
    none.hidden = Boolean(newest);
    earlier.hidden = !story.hasEarlierMessages;
    older.hidden = !story.hasEarlierRuns;
    form.going(story.isHeard || Boolean(active), Boolean(active) && active.status !== "cancelling");
    if (news !== told) say(news);
    told = news;
  };
  const speakTo = (id) => {
    if (!id) return;
    if (!assistants.some((each) => each.id === id)) choice.append(make("option", { value: id, text: id }));
    choice.value = id;
  };
  return { element, choice, log, form, fill, speakTo };
}
