// Runs, their steps, and what took how long.

import { ACTIVE, badge, code, count, duration, exact, facts, link, make, number, sync, tokens, when } from "./parts.js";

function endOf(each) {
  const ended = each.completed_at ?? each.failed_at ?? each.cancelled_at ?? each.expired_at;
  if (ended) return ended;
  if (each.status === "incomplete" || each.status === "expired") return each.expires_at < Date.now() / 1000 ? each.expires_at : each.created_at;
  return Math.max(each.created_at, Math.min(Date.now() / 1000, each.expires_at ?? Infinity));
}

export function took(run) {
  if (run.status === "incomplete" || run.status === "expired") return undefined;
  return duration(endOf(run) - run.created_at) + (ACTIVE.has(run.status) ? " so far" : "");
}

function nameOf(step) {
  if (step.type === "message_creation") return "message";
  const names = step.step_details.tool_calls.map((call) => call.function?.name ?? call.type);
  return names.join(", ") || "tools";
}

function called(call) {
  const name = call.function?.name ?? call.type, said = [make("h3", { text: name })];
  if (call.function) {
    said.push(make("p", { class: "caption", text: "Arguments" }), code(call.function.arguments, `Arguments of ${name}`));
    if (call.function.output === null || call.function.output === undefined) said.push(make("p", { class: "dim", text: "There is no output yet." }));
    else said.push(make("p", { class: "caption", text: "Output" }), code(call.function.output, `Output of ${name}`));
  } else if (call.code_interpreter) {
    said.push(make("pre", { tabindex: "0", role: "region", "aria-label": "Code", text: call.code_interpreter.input }));
    said.push(...(call.code_interpreter.outputs ?? []).map((each) => code(each.logs ?? each.image ?? each, "Output of the code")));
  } else {
    const found = call.file_search?.results ?? [];
    said.push(make("p", { text: `${count(found.length, "passage")} found` }));
    said.push(make("ul", {}, found.map((hit) => make("li", { text: `${hit.file_name} (${Number(hit.score).toFixed(2)})` }))));
  }
  return make("div", { class: "call" }, said);
}

function stepOf(step, run) {
  const zero = run.created_at, whole = Math.max(1, endOf(run) - zero), at = step.created_at - zero, end = endOf(step) - zero;
  const sort = step.type === "tool_calls" ? "tool" : "model";
  const bar = make("span", { class: `bar ${sort}${step.status === "failed" ? " failed" : ""}` });
  bar.style.left = `${Math.min(99, (at / whole) * 100)}%`;
  bar.style.width = `${Math.max(1, Math.min(100, ((end - at) / whole) * 100))}%`;
  return make("details", {},
    make("summary", {},
      make("span", { class: `role ${sort}`, text: sort }),
      make("span", { class: "label", text: nameOf(step) }),
      make("span", { class: "track", role: "img", "aria-label": `from ${number(at)} s to ${number(Math.round(end))} s of ${number(Math.round(whole))} s` }, bar),
      make("span", { class: "number", text: duration(end - at) }),
    ),
    make("div", { class: "inside" },
      facts([["Status", badge(step.status)], ["Began", when(step.created_at)], ["Tokens", tokens(step.usage)], ["Step", step.id]]),
      step.last_error && make("p", { class: "why", text: `${step.last_error.code}: ${step.last_error.message}` }),
      step.type === "tool_calls" ? step.step_details.tool_calls.map(called) : make("p", { class: "dim", text: `wrote ${step.step_details.message_creation.message_id}` }),
    ),
  );
}

// What took how long: each time that the run was taken up, its calls of models and tools.
function waterfall(parts) {
  const zero = Math.min(...parts.map((part) => part.began_at * 1000));
  let end = 0;
  const calls = parts.flatMap((part, number) => {
    const began = part.began_at * 1000 - zero, before = end, asked = part.spans.findIndex((span) => span.kind === "model");
    const waited = (at) => number > 0 && (asked < 0 || at < asked); // what clients have done, between two parts
    const spans = part.spans.map((span, at) => (waited(at) ? { ...span, at: before, ms: began + span.at_ms + span.ms - before } : { ...span, at: began + span.at_ms }));
    end = Math.max(end, began, ...spans.map((span) => span.at + span.ms));
    return spans;
  });
  const whole = Math.max(1, ...calls.map((span) => span.at + span.ms));
  const traces = parts.map((part) => part.trace_id).filter((each) => each);
  const line = (span) => {
    const bar = make("span", { class: `bar ${span.kind}${span.failed ? " failed" : ""}` }), first = make("span", { class: "word" });
    bar.style.left = `${Math.min(99.5, (span.at / whole) * 100)}%`;
    bar.style.width = `${(span.ms / whole) * 100}%`;
    first.style.left = `${((span.at + (span.first_ms ?? 0) - span.at_ms) / whole) * 100}%`;
    const used = span.used ? `, ${number(span.used[0] ?? 0)} tokens in, ${number(span.used[1] ?? 0)} out` : "";
    const begins = span.first_ms === undefined ? "" : `, first word after ${exact(span.first_ms - span.at_ms)}`;
    const said = `from ${exact(span.at)} to ${exact(span.at + span.ms)} of ${exact(whole)}${begins}${used}`;
    return make("li", { title: said },
      make("span", { class: `role ${span.kind}`, text: span.kind }),
      make("span", { class: "label", text: `${span.name || span.kind}${span.failed ? " failed" : span.unfinished ? " not finished" : ""}` }),
      make("span", { class: "track", role: "img", "aria-label": said }, bar, span.first_ms !== undefined && first),
      make("span", { class: "number", text: exact(span.ms) }),
    );
  };
  return [
    make("h3", { text: `Time: ${exact(whole)}` }),
    make("ol", { class: "waterfall", "aria-label": "Calls of models and tools, and how long they took" }, calls.map(line)),
    traces.length > 0 && facts([[traces.length > 1 ? "Traces in OpenTelemetry" : "Trace in OpenTelemetry", make("code", { text: traces.join(" ") })]]),
  ].filter((each) => each);
}

export function runView(open, changed) {
  const element = make("details", { class: "run" }), summary = make("summary"), body = make("div", { class: "inside" });
  const about = make("div"), time = make("div"), heading = make("h3", { text: "Steps" }), steps = make("div", { class: "steps", role: "group", "aria-label": "Steps" }), waits = make("div");
  body.append(about, waits, time, heading, steps);
  element.append(summary, body);
  element.open = open;
  let said = "", asked = "", timed = "";
  const drawStep = (run) => (step, before) => {
    const now = JSON.stringify([step, Math.round(endOf(step)), Math.round(endOf(run))]);
    if (before?.dataset.said === now) return before;
    const drawn = stepOf(step, run);
    drawn.open = before?.open ?? false;
    drawn.dataset.said = now;
    return drawn;
  };
  element.fill = (run, known, parts, submit) => {
    const spans = parts.flatMap((part) => part.spans), told = JSON.stringify(parts);
    heading.hidden = !known.length;
    if (told !== timed) time.replaceChildren(...(spans.length ? waterfall(parts) : []));
    steps.classList.toggle("timed", spans.length > 0);
    timed = told;
    const now = JSON.stringify([run, took(run)]);
    if (now !== said) {
      said = now;
      summary.replaceChildren(badge(run.status), make("span", { text: run.model }), ...[took(run), tokens(run.usage)].filter((each) => each).map((text) => make("span", { class: "dim", text })));
      about.replaceChildren(
        ...[
          run.last_error && make("p", { class: "why", text: `${run.last_error.code}: ${run.last_error.message}` }),
          run.incomplete_details?.reason && make("p", { class: "why", text: `It was cut off: ${run.incomplete_details.reason.replaceAll("_", " ")}` }),
          facts([["Began", when(run.created_at)], ["Assistant", link(run.assistant_id, "assistants", run.assistant_id)], ["Run", run.id]]),
        ].filter((each) => each),
      );
    }
    sync(steps, known, drawStep(run));
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [], wanted = calls.map((call) => call.id).join();
    if (wanted !== asked) waits.replaceChildren(...(calls.length ? [outputs(run, calls, submit)] : []));
    asked = wanted;
  };
  element.addEventListener("toggle", () => element.open && changed());
  return element;
}

function outputs(run, calls, submit) {
  const fields = calls.map((call) => make("textarea", { id: `output-${call.id}`, rows: "2" }));
  const send = (event) => {
    event.preventDefault();
    submit(run, calls.map((call, at) => ({ tool_call_id: call.id, output: fields[at].value })));
  };
  return make("form", { class: "outputs", submit: send },
    make("p", { text: "The run waits for what these calls come to; whoever made it usually answers." }),
    calls.map((call, at) => [make("label", { for: fields[at].id, text: `Output of ${call.function.name}` }), fields[at]]),
    make("button", { type: "submit", text: "Send outputs" }),
  );
}
