// A thread: what was said on it, and its runs.

import { ACTIVE, begin, button, main, make, merged, say, stable, sync, upsert } from "./parts.js";
import { ask, events, guarded, read, readAll, Refused, visiting, watch } from "./server.js";
import { runView } from "./runs.js";
import { composer, follow, grown, messageView } from "./said.js";

const PAGE = 50;

export async function thread(id, beside) {
  const signal = visiting(), path = `v1/threads/${encodeURIComponent(id)}`;
  const wanted = beside?.startsWith("run_") ? beside : undefined;
  let messages = [], ran = [], streaming = false, last = "";
  const steps = new Map(), times = new Map(), views = new Map();
  const due = new Set(); // runs whose steps are to be read again, whatever was heard of them
  await read(path);
  const known = (await read("v1/assistants?limit=100")).data;
  begin("Thread", id);

  const choice = make("select", { id: "assistant" }, known.map((each) => make("option", { value: each.id, text: each.name || each.id })));
  const log = make("div", { class: "log", role: "log", "aria-label": "Messages", tabindex: "0" });
  const earlier = button("Earlier messages", () => guarded(moreMessages), { hidden: true });
  const list = make("div", { class: "runs" }), none = make("p", { class: "dim", text: "There are no runs yet." });
  const older = button("Earlier runs", () => guarded(moreRuns), { hidden: true });
  const form = composer((words, sent) => guarded(() => send(words, sent)), () => guarded(stop), make("label", { for: "assistant", text: "Assistant" }), choice);
  main.append(make("div", { class: "two" },
    make("section", { "aria-labelledby": "said" }, make("h2", { id: "said", text: "Messages" }), earlier, log, form),
    make("section", { "aria-labelledby": "ran" }, make("h2", { id: "ran", text: "Runs" }), none, list, older)));

  const draw = stable(messageView);
  const active = () => ran.find((run) => ACTIVE.has(run.status));
  const fill = () => {
    follow(log, () => sync(log, messages, draw));
    sync(list, [...ran].reverse(), (run) => {
      if (!views.has(run.id)) views.set(run.id, runView(wanted ? run.id === wanted : run.id === ran.at(-1).id, () => guarded(() => seen(run.id))));
      views.get(run.id).fill(run, steps.get(run.id) ?? [], times.get(run.id) ?? [], submit);
      return views.get(run.id);
    });
    none.hidden = ran.length > 0;
    form.going(streaming || Boolean(active()), Boolean(active()) && active().status !== "cancelling");
    const newest = ran.at(-1), news = newest ? `Run ${newest.status.replaceAll("_", " ")}` : "";
    if (news !== last) say(news);
    last = news;
  };
  const readSteps = async (run) => {
    due.delete(run);
    const place = `${encodeURIComponent(id)}/runs/${encodeURIComponent(run)}`;
    const [got, trace] = await Promise.all([readAll(`v1/threads/${place}/steps`, signal), read(`agentkit/threads/${place}/trace`, signal)]);
    times.set(run, trace.data);
    steps.set(run, merged(steps.get(run) ?? [], got, streaming));
  };
  const seen = async (run) => {
    if (steps.has(run)) return;
    await readSteps(run);
    fill();
  };
  const look = async () => {
    const before = JSON.stringify([messages, ran, [...steps]]), had = new Map(ran.map((run) => [run.id, run.status]));
    const [said, lately] = await Promise.all([read(`${path}/messages?limit=${messages.length ? 20 : PAGE}`, signal), read(`${path}/runs?limit=10`, signal)]);
    if (!messages.length) earlier.hidden = !said.has_more;
    if (!ran.length) older.hidden = !lately.has_more;
    messages = merged(messages, said.data.reverse(), streaming);
    ran = merged(ran, lately.data.reverse(), streaming);
    for (const run of ran) {
      const isOpen = views.get(run.id)?.open ?? run.id === (wanted ?? ran.at(-1).id);
      if (isOpen && (ACTIVE.has(run.status) || had.get(run.id) !== run.status || due.has(run.id) || !steps.has(run.id))) await readSteps(run.id);
    }
    fill();
    return JSON.stringify([messages, ran, [...steps]]) !== before;
  };
  const moreMessages = async () => {
    const got = await read(`${path}/messages?limit=${PAGE}&after=${encodeURIComponent(messages[0].id)}`), top = log.firstElementChild;
    messages = [...got.data.reverse(), ...messages];
    earlier.hidden = !got.has_more;
    fill();
    top?.scrollIntoView({ block: "nearest" });
  };
  const moreRuns = async () => {
    const got = await read(`${path}/runs?limit=10&after=${encodeURIComponent(ran[0].id)}`);
    ran = [...got.data.reverse(), ...ran];
    older.hidden = !got.has_more;
    fill();
  };
  const hear = ({ name, data }) => {
    if (data.object === "thread.run") {
      ran = upsert(ran, data);
      due.add(data.id);
    }
    if (data.object === "thread.run.step") steps.set(data.run_id, upsert(steps.get(data.run_id) ?? [], data));
    else if (data.object === "thread.message") messages = upsert(messages, data);
    else if (data.object === "thread.message.delta") messages = messages.map((each) => (each.id === data.id ? grown(each, data.delta) : each));
    if (name === "thread.run.created") wake();
  };
  const heard = async (answer) => {
    streaming = true;
    let due = false;
    try {
      for await (const event of events(answer)) {
        hear(event);
        if (!due) requestAnimationFrame(() => {
          due = false;
          if (!signal.aborted) fill();
        });
        due = true;
      }
    } finally {
      streaming = false;
      if (!signal.aborted) wake();
    }
  };
  const send = async (words, sent) => {
    if (!choice.value) throw new Refused("There is no assistant to talk to; clients of the API create them.", 400);
    form.going(true, false);
    try {
      const body = { assistant_id: choice.value, stream: true, additional_messages: [{ role: "user", content: words }] };
      const answer = await ask("POST", `${path}/runs`, body, signal);
      sent();
      await heard(answer);
    } finally {
      if (!signal.aborted) fill();
    }
  };
  const stop = async () => {
    const run = active();
    if (run) ran = upsert(ran, await (await ask("POST", `${path}/runs/${run.id}/cancel`, {}, signal)).json());
    fill();
    wake();
  };
  const submit = (run, given) =>
    guarded(async () => heard(await ask("POST", `${path}/runs/${run.id}/submit_tool_outputs`, { tool_outputs: given, stream: true }, signal)));

  let wake = () => {};
  await look();
  if (wanted && !ran.some((run) => run.id === wanted)) {
    ran = [await read(`${path}/runs/${encodeURIComponent(wanted)}`), ...ran];
    await readSteps(wanted);
    fill();
  }
  const spoken = wanted ? undefined : (beside ?? ran.at(-1)?.assistant_id);
  if (spoken && !known.some((each) => each.id === spoken)) choice.append(make("option", { value: spoken, text: spoken }));
  if (spoken) choice.value = spoken;
  log.scrollTop = log.scrollHeight;
  wake = watch(look, () => Boolean(active()));
}
