// The page as a whole: which part is shown, what has changed on the disk, light and dark.

import { get } from "./api.js";
import { offerMinP } from "./choose.js";
import { setPair } from "./course.js";
import { find, make, sayProblem } from "./dom.js";
import "./inside.js";
import "./runs.js";
import { on, state, tell } from "./state.js";
import { halt, readPrompt } from "./write.js";

const VIEWS = ["write", "choose", "inside", "runs", "course"];
const TITLES = { write: "Write", choose: "Choose", inside: "Look inside", runs: "Runs", course: "Course" };
const EVERY = 1000; // milliseconds between two looks at what has changed

function route() {
  const view = location.hash.slice(1);
  state.view = VIEWS.includes(view) ? view : "write";
  document.body.dataset.view = state.view;
  document.title = `${TITLES[state.view]} · Play with your model`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${state.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tell("view");
}
addEventListener("hashchange", () => {
  if (location.hash !== "#main") route();
});

// Ask what has changed, as long as somebody looks.
let known = {};
let ended = false;
async function look() {
  if (document.hidden) return;
  let now;
  try {
    now = await get(`/api/state${state.run === null ? "" : `?run=${encodeURIComponent(state.run)}`}`);
  } catch (error) {
    if (!ended) sayProblem(find("notice"), error);
    ended = true;
    return;
  }
  if (ended) find("notice").replaceChildren();
  ended = false;
  find("whose").textContent = now.katas;
  offerMinP(now.minP);
  setPair(now.pair);
  showRuns(now);
  const first = !("model" in known);
  const changed = (name) => !first && known[name] !== now[name];
  // Only where there is no text yet: this answer may come while one is being written, or after it.
  if ((first || changed("model")) && !state.tokens.length && !state.busy) readPrompt();
  else if (changed("model")) tell("selected"); // asks the server, which loads the new one
  if (changed("curves")) tell("curves");
  if (changed("course")) tell("progress");
  known = { ...now };
}

function showRuns(now) {
  const list = find("run");
  const names = now.runs.length ? now.runs : ["no model yet"];
  if (JSON.stringify(names) !== list.dataset.names) {
    list.replaceChildren(...names.map((name) => make("option", {}, name)));
    list.dataset.names = JSON.stringify(names);
  }
  list.disabled = !now.runs.length;
  if (now.run && document.activeElement !== list) list.value = now.run;
}

function setRun(name) {
  halt();
  state.run = name;
  state.model = null;
  known = { ...known, model: undefined };
  delete known.model;
  readPrompt();
  look();
}
find("run").addEventListener("change", () => setRun(find("run").value));
on("run", setRun);

on("replaced", (otherVocabulary) => {
  const more = otherVocabulary ? " Its vocabulary is another one, so a new text begins." : " What is written from now on is by the new one.";
  find("notice").replaceChildren(make("p", {}, `The model on the disk was replaced, and has been loaded again.${more}`));
  setTimeout(() => find("notice").replaceChildren(), 12000);
  if (otherVocabulary) {
    state.tokens = [];
    readPrompt();
  }
});

// Light and dark: as the system has it, until somebody chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  tell("theme");
}
try {
  if (localStorage.theme) setTheme(localStorage.theme);
} catch {
  // no storage: the system's choice
}
find("theme").addEventListener("click", () => {
  setTheme(theme() === "dark" ? "light" : "dark");
  try {
    localStorage.theme = theme();
  } catch {
    // not kept
  }
});
dark.addEventListener("change", () => tell("theme"));

route();
look();
setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
