// Writing: a prompt goes in, tokens come out; stop, go on, put another token in a place.

import { Problem, ask, events } from "./api.js";
import { find, make, sayProblem } from "./dom.js";
import { ids, on, request, select, state, tell } from "./state.js";
import { relabel, showAll, showMore } from "./text.js";

const problem = find("problem");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let stream = null; // what stops it, and the tokens that wait to be shown
let readings = 0; // prompts that were sent to be read; an answer that comes too late is ignored

const whole = (id, least, most, otherwise) => {
  const value = Math.trunc(Number(find(id).value));
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise;
};
const seed = () => whole("seed", -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0);
const count = () => whole("count", 1, 2000, 300);

export function setModel(model) {
  const other = state.model && state.model.vocabulary !== model.vocabulary;
  const replaced = state.model && state.model.version !== model.version;
  state.model = model;
  if (replaced) tell("replaced", other);
  tell("model");
}

function setTokens(facts) {
  state.tokens = facts.ids.map((id, i) => ({ id, text: facts.texts[i], p: facts.p?.[i] ?? null, prompt: true }));
  state.selected = state.tokens.length;
  state.writing = "";
  showAll();
  buttons();
}

function buttons() {
  find("stop").disabled = !state.busy;
  find("more").disabled = state.busy || !state.tokens.length;
  find("copy").disabled = !state.tokens.length;
  find("tokens").setAttribute("aria-busy", state.busy);
  document.body.classList.toggle("writing", state.busy);
}

// The prompt as tokens, without a word more, so that all parts of the page have something to show.
export async function readPrompt() {
  const mine = ++readings;
  problem.replaceChildren();
  try {
    const facts = await ask("/api/read", request({ prompt: find("prompt").value }));
    if (mine !== readings) return;
    setModel(facts.model);
    setTokens(facts);
    select(state.tokens.length);
  } catch (error) {
    if (mine === readings) sayProblem(problem, error);
  }
}

async function write(body) {
  halt();
  readings++;
  problem.replaceChildren();
  const mine = { abort: new AbortController(), waiting: [], ended: false, timer: 0 };
  stream = mine;
  state.busy = true;
  buttons();
  pace(mine);
  try {
    for await (const [name, facts] of events("/api/write", request({ ...body, seed: seed(), count: count() }), mine.abort.signal)) {
      if (stream !== mine) return;
      if (name === "start") begin(facts, mine);
      else if (name === "prompt") shadePrompt(facts.p);
      else if (name === "token") mine.waiting.push(facts);
      else if (name === "problem") throw new Problem(facts.lines);
    }
  } catch (error) {
    if (stream === mine) sayProblem(problem, error);
  }
  mine.ended = true;
}

function begin(facts, mine) {
  setModel(facts.model);
  if (facts.ids) setTokens(facts);
  state.writing = facts.writing;
  mine.waiting.push(...facts.ahead);
}

// Probabilities of the tokens that the model was shown first: all of a prompt but its first token.
function shadePrompt(chances) {
  const first = state.tokens.length - chances.length;
  chances.forEach((p, i) => {
    const token = state.tokens[first + i];
    if (token && token.p === null) token.p = p;
  });
  relabel();
}

// Show the tokens that have come, at the chosen pace.
function pace(mine) {
  let due = 0;
  let last = performance.now();
  const step = (now) => {
    if (stream !== mine) return;
    const rate = calm.matches ? 0 : Number(find("pace").value);
    due = rate ? Math.min(due + ((now - last) / 1000) * rate, 8) : Infinity;
    last = now;
    const shown = mine.waiting.splice(0, Math.floor(Math.min(due, mine.waiting.length)));
    if (shown.length) {
      due -= shown.length;
      append(shown);
    }
    if (mine.ended && !mine.waiting.length) return finish(mine);
    mine.timer = setTimeout(() => step(performance.now()), rate ? 1000 / Math.max(rate, 30) : 16);
  };
  step(last);
}

function append(facts) {
  const from = state.tokens.length;
  const followed = state.selected === from;
  state.tokens.push(...facts.map(({ id, text, p, q }) => ({ id, text, p, q })));
  showMore(from);
  if (followed) {
    state.selected = state.tokens.length;
    const box = find("tokens");
    box.scrollTop = box.scrollHeight;
  }
  tell("grown");
}

function finish(mine) {
  if (stream !== mine) return;
  stream = null;
  state.busy = false;
  buttons();
  find("notice").replaceChildren(make("p", { className: "hidden" }, `The text has ${state.tokens.length} tokens now.`));
  tell("selected");
}

// Stop: what the server has written beyond what is shown comes first when the text goes on.
export function halt() {
  if (!stream) return;
  const mine = stream;
  mine.abort.abort();
  finish(mine);
}

export const goOn = () => write({ ids: ids(), writing: state.writing });

// Put another token in a place, forget what came after it, and go on from there.
export function putToken(place, token) {
  halt();
  state.tokens.length = place;
  state.tokens.push({ id: token.id, text: token.text, p: token.before, q: token.after });
  state.selected = state.tokens.length;
  state.writing = "";
  showAll();
  return goOn();
}

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  state.selected = state.tokens.length;
  write({ prompt: find("prompt").value });
});
find("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
find("stop").addEventListener("click", halt);
find("more").addEventListener("click", () => {
  state.selected = state.tokens.length;
  goOn();
});
find("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(state.tokens.map((token) => token.text).join(""));
  find("copy").textContent = "Copied";
  setTimeout(() => (find("copy").textContent = "Copy"), 1500);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") halt();
});

on("model", () => {
  const { layers, heads, width, blockSize, vocabulary, parameters, device, parts } = state.model;
  const facts = {
    parameters: parameters.toLocaleString("en"),
    blocks: `${layers}, each with ${heads} ${heads === 1 ? "head" : "heads"}`,
    width,
    reads: `${blockSize} tokens at a time`,
    vocabulary: `${vocabulary.toLocaleString("en")} tokens`,
    device,
    ...(parts.length ? { "later parts": parts.join(", ") } : {}),
  };
  find("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
  );
});
