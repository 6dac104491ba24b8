// The course: the diagram of the model, lit part by part, the next test, and whose turn it is in a pair.

import { get, latest } from "./api.js";
import { find, make, sayProblem } from "./dom.js";
import { on, state } from "./state.js";

// The diagram from top to bottom. `block` repeats; what adds to the stream says so.
const FLOW = [
  { text: "text" },
  { place: "tokens" },
  { place: "positions", adds: true },
  {
    block: true,
    parts: [{ place: "norm-attention" }, { pair: ["heads", "attention"], adds: true }, { place: "norm-network" }, { place: "network", adds: true }],
  },
  { place: "head" },
  { place: "sampling" },
  { text: "text, one token longer" },
];
const TOOLS = ["linear", "training", "engineering", "capstone"];
let facts = null;
let before = null; // the tests passed when the page last looked

const redraw = latest(async () => {
  if (state.view !== "course") return;
  try {
    facts = await get("/api/course");
    show();
  } catch (error) {
    sayProblem(find("next"), error);
  }
});

function show() {
  find("course-count").textContent = `${facts.passed} of ${facts.tests} tests pass. A part lights up when the kata that builds it is complete.`;
  const flow = FLOW.map(step).filter(Boolean);
  const tools = TOOLS.map((place) => box(place)).filter(Boolean);
  find("diagram").replaceChildren(make("ol", { className: "flow" }, ...flow), make("ul", { className: "tools-row" }, ...tools.map((each) => make("li", {}, each))));
  showNext();
  find("katas").replaceChildren(...["core", "advanced"].flatMap(track));
  before = facts.passed;
}

const kata = (name) => facts.katas.find((each) => each.name === name);

function box(place) {
  const part = facts.parts.find((each) => each.place === place);
  if (!part) return null;
  const own = kata(part.kata);
  const lit = own.complete ? "complete" : own.state === "current" ? "current" : "dark";
  const done = own.complete ? "complete" : `${own.passed} of ${own.tests} tests`;
  const made = make("div", { className: `box ${lit}`, title: `kata ${own.title}: ${done}` }, make("span", {}, part.title), make("small", {}, `kata ${own.number}`));
  made.append(make("span", { className: "hidden" }, `, ${done}`));
  if (!own.complete) made.style.setProperty("--done", own.tests ? own.passed / own.tests : 0);
  return made;
}

function step(each) {
  if (each.text) return make("li", { className: "end" }, each.text);
  if (each.block) {
    const parts = each.parts.map(step).filter(Boolean);
    return parts.length ? make("li", { className: "block" }, make("ol", {}, ...parts), make("p", {}, state.model ? `× ${state.model.layers} blocks` : "× as many blocks as the model has")) : null;
  }
  const boxes = (each.pair ?? [each.place]).map(box).filter(Boolean);
  if (!boxes.length) return null;
  const made = make("li", { className: each.adds ? "adds" : "" }, make("div", { className: "boxes" }, ...boxes));
  if (each.adds) made.append(make("span", { className: "plus", "aria-label": "added to the stream" }, "+"));
  return made;
}

function showNext() {
  const next = facts.next;
  const news = before !== null && facts.passed > before ? [make("p", { className: "good" }, `${facts.passed - before} more ${facts.passed - before === 1 ? "test passes" : "tests pass"}.`)] : [];
  if (!next) return find("next").replaceChildren(...news, make("p", {}, "All katas are complete. You have built a language model!"));
  find("next").replaceChildren(
    ...news,
    make("p", { className: "requirement" }, next.requirement),
    make("p", { className: "hint" }, `kata ${next.kata} · `, make("code", {}, next.test)),
    make("p", { className: "command" }, make("code", {}, next.command)),
  );
}

function track(name) {
  const katas = facts.katas.filter((each) => each.track === name);
  if (!katas.length) return [];
  const done = katas.filter((each) => each.complete).length;
  const rows = [
    make("li", { className: "track" }, `${name} track`, make("span", {}, `${done} of ${katas.length}`)),
    ...katas.map((each) => {
      const meter = make("progress", { max: Math.max(each.tests, 1), value: each.passed, "aria-label": `${each.title}: ${each.passed} of ${each.tests} tests` });
      return make("li", { className: each.state.replaceAll(" ", "-"), title: each.builds }, make("span", { className: "title" }, each.title), meter, make("small", {}, each.state));
    }),
  ];
  return [make("ul", {}, ...rows)];
}

// The pair's clock runs here between two answers of the server.
let pair = null;
let heard = 0;

export function setPair(told) {
  pair = told;
  heard = performance.now();
  find("pair-card").hidden = !pair;
  tick();
}

function tick() {
  if (!pair) return;
  const left = pair.left - (performance.now() - heard) / 1000;
  const whole = Math.max(0, Math.ceil(left));
  find("driver").textContent = pair.driver;
  find("navigator").textContent = `${pair.navigator} navigates. ${pair.swaps} ${pair.swaps === 1 ? "swap" : "swaps"}, ${pair.tests} more ${pair.tests === 1 ? "test passes" : "tests pass"}.`;
  find("clock").textContent = left > 0 ? `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}` : "The time is up: swap at the next run.";
  find("clock-bar").style.width = `${Math.max(0, Math.min(100, (100 * left) / pair.turn))}%`;
  find("pair-card").classList.toggle("over", left <= 0);
}
setInterval(tick, 500);

for (const name of ["view", "progress"]) on(name, redraw);
