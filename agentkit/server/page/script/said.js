// What was said, and what is to be said.

import { button, make, when } from "./parts.js";

function sourcesOf(annotations) {
  return [...new Map(annotations.map((each) => [each.text, each.file_citation?.file_id ?? each.file_path?.file_id]))].filter(([text]) => text);
}

// The words, with the number of the source where its mark is.
function cited(text, marks) {
  let pieces = [text];
  marks.forEach(([mark], at) => {
    const number = () => make("sup", { text: `[${at + 1}]` });
    pieces = pieces.flatMap((piece) => (typeof piece === "string" ? piece.split(mark).flatMap((each, n) => (n ? [number(), each] : [each])) : [piece]));
  });
  return pieces;
}

function wordsOf(message) {
  return message.content.map((part) => {
    if (part.type === "text") {
      const marks = sourcesOf(part.text.annotations ?? []);
      const sources = marks.map(([text, file]) => make("li", {}, /†(.*)】$/.exec(text)?.[1] ?? text, file && make("span", { class: "dim", text: ` ${file}` })));
      return [make("p", { class: "text" }, cited(part.text.value, marks)), sources.length > 0 && make("ol", { class: "sources", "aria-label": "Sources" }, sources)];
    }
    if (part.type === "refusal") return make("p", { class: "text why", text: part.refusal });
    return make("p", { class: "dim", text: part.type === "image_file" ? `picture ${part.image_file.file_id}` : `picture ${String(part.image_url?.url).slice(0, 100)}` });
  });
}

export function bubble(who, at, children, busy) {
  return make("article", { class: `said ${who === "user" ? "user" : "other"}`, "aria-label": `${who} says`, "aria-busy": busy ? "true" : null }, make("p", { class: "who" }, make("strong", { text: who }), at && when(at)), children);
}

export function messageView(message) {
  const files = (message.attachments ?? []).map((each) => each.file_id);
  return bubble(message.role, message.created_at, [wordsOf(message), files.length > 0 && make("p", { class: "dim", text: `attached: ${files.join(", ")}` }), message.status === "incomplete" && make("p", { class: "why", text: "It was not finished." })], message.status === "in_progress");
}

// At the end of a conversation one stays there, however it grows; who has scrolled up is left where they are.
export function follow(log, fill) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  fill();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

export function composer(send, stop, ...before) {
  const field = make("textarea", { id: "words", rows: "3", "aria-describedby": "how" });
  const sender = make("button", { type: "submit", text: "Send", class: "first" }), stopper = button("Stop", stop, { disabled: true });
  const form = make("form", { class: "composer" }, ...before, make("label", { for: "words", text: "Your message" }), field,
    make("div", { class: "buttons" }, sender, stopper, make("span", { id: "how", class: "dim", text: "Enter sends, Shift and Enter begin a new line" })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = field.value;
    if (words.trim() && !sender.disabled) send(words, () => (field.value = ""));
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.going = (is, canStop = is) => {
    if (is && document.activeElement === sender) field.focus();
    if (!canStop && document.activeElement === stopper) field.focus();
    sender.disabled = is;
    stopper.disabled = !canStop;
  };
  return form;
}
