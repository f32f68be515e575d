// Where one is: `#/threads/thread_1`.

import { byId, complain, main, make, say } from "./parts.js";
import { endVisit, guarded, KEY, newVisit, whenKeyIsWanted } from "./server.js";
import { assistants, files, runs, stores, threadList } from "./lists.js";
import { thread } from "./thread.js";
import { chat, forgetChat } from "./chat.js";

function askKey(why) {
  endVisit();
  const wrong = sessionStorage.getItem(KEY) !== null;
  sessionStorage.removeItem(KEY);
  byId("forget").hidden = true;
  const field = make("input", { id: "key", type: "password", autocomplete: "off", required: true, "aria-describedby": "why" });
  const use = (event) => {
    event.preventDefault();
    const key = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return complain("A key has letters, digits and signs only, and no spaces.");
    sessionStorage.setItem(KEY, key);
    return show();
  };
  document.title = "Key · agentkit";
  main.replaceChildren(
    make("h1", { text: "This server asks for a key" }),
    make("form", { class: "key", submit: use },
      make("p", { id: "why", class: "dim", text: wrong ? "It is kept until this tab is closed." : why }),
      make("label", { for: "key", text: "API key" }),
      field,
      make("button", { type: "submit", text: "Use this key" }),
    ),
  );
  complain(wrong ? `This key does not open the server: ${why}` : "");
  field.focus();
}

async function show({ focus = true } = {}) {
  const signal = newVisit();
  const [, name, ...rest] = location.hash.split("/");
  const isKnown = Object.hasOwn(VIEWS, name ?? ""), view = isKnown ? name : "threads";
  for (const each of document.querySelectorAll("nav a")) {
    if (each.hash === `#/${view}`) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  byId("forget").hidden = sessionStorage.getItem(KEY) === null;
  say("");
  main.setAttribute("aria-busy", "true");
  await guarded(() => VIEWS[view](...(isKnown ? rest.filter((part) => part).map(plain) : [])), signal);
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  if (focus && !main.contains(document.activeElement)) main.querySelector("h1")?.focus();
}

function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const VIEWS = { threads: (id, ...rest) => (id ? thread(id, ...rest) : threadList()), runs, assistants, files, stores, chat };

whenKeyIsWanted(askKey);
byId("skip").addEventListener("click", () => main.querySelector("h1")?.focus());
byId("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  forgetChat();
  show();
});
addEventListener("hashchange", () => show());
show({ focus: false });
