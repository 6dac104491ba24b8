// The text, token by token: shaded by probability, or by what a head reads.

import { find, make, percent, spoken, visible } from "./dom.js";
import { on, select, state } from "./state.js";

const BITS = 7; // of surprise for the strongest shade: a probability below one percent
const box = find("tokens");
const caret = make("span", { className: "caret", id: "t-end", role: "option", "aria-label": "the next token" });
let elements = [];
let weights = null; // {start, row}: what a head reads, in place of probabilities

export const surprise = (p) => Math.min(1, -Math.log2(Math.max(p, 1e-9)) / BITS);

function element(token, place) {
  const made = make("span", { className: token.prompt ? "token prompt" : "token", id: `t${place}`, role: "option" });
  if (token.text.includes("\n")) made.append(make("i", {}, "↵"), token.text);
  else made.textContent = token.text;
  label(made, token);
  return made;
}

function label(made, token) {
  const sure = token.p === null || token.p === undefined ? "" : `, ${percent(token.p)}`;
  made.setAttribute("aria-label", spoken(token.text) + sure);
  made.style.setProperty("--shade", sure ? surprise(token.p).toFixed(3) : 0);
}

export function showAll() {
  elements = state.tokens.map(element);
  box.replaceChildren(...elements, caret);
  mark();
}

export function showMore(from) {
  const made = state.tokens.slice(from).map((token, i) => element(token, from + i));
  for (const each of made) each.classList.add("new");
  elements.push(...made);
  caret.before(...made);
}

export function relabel() {
  state.tokens.forEach((token, place) => elements[place] && label(elements[place], token));
}

export function showWeights(found) {
  weights = found;
  box.classList.toggle("reading", Boolean(weights));
  const most = weights ? Math.max(...weights.row, 1e-6) : 1;
  elements.forEach((each, place) => {
    const weight = weights?.row[place - weights.start] ?? 0;
    each.style.setProperty("--weight", (weight / most).toFixed(3));
  });
}

function mark() {
  for (const each of box.querySelectorAll("[aria-selected]")) each.removeAttribute("aria-selected");
  if (state.selected === null) return;
  const chosen = elements[state.selected] ?? caret;
  chosen.setAttribute("aria-selected", "true");
  box.setAttribute("aria-activedescendant", chosen.id);
  about();
}

function about() {
  const token = state.tokens[state.selected];
  const parts = [];
  if (token) {
    parts.push(make("b", {}, visible(token.text)), ` is token ${state.selected + 1} of ${state.tokens.length}. `);
    if (token.p !== null && token.p !== undefined) {
      parts.push(`The model gave it ${percent(token.p)}`);
      parts.push(token.q !== null && token.q !== undefined ? `, and it was drawn with ${percent(token.q)}.` : ".");
    }
  } else if (state.tokens.length) parts.push("The place of the next token is selected.");
  find("about").replaceChildren(...parts);
}

box.addEventListener("click", (event) => {
  const chosen = event.target.closest("[role=option]");
  if (chosen) select(chosen === caret ? state.tokens.length : Number(chosen.id.slice(1)));
  else select(state.tokens.length);
});

// The place one line above or below, nearest to the selected one.
function besides(direction) {
  const from = (elements[state.selected] ?? caret).getBoundingClientRect();
  const all = [...elements, caret].map((each, place) => ({ place, at: each.getBoundingClientRect() }));
  const lines = all.filter(({ at }) => (direction > 0 ? at.top > from.top + 4 : at.top < from.top - 4));
  const near = direction > 0 ? Math.min(...lines.map(({ at }) => at.top)) : Math.max(...lines.map(({ at }) => at.top));
  const line = lines.filter(({ at }) => Math.abs(at.top - near) < 4);
  line.sort((a, b) => Math.abs(a.at.left - from.left) - Math.abs(b.at.left - from.left));
  return line[0]?.place ?? state.selected;
}

box.addEventListener("keydown", (event) => {
  const last = state.tokens.length;
  const now = state.selected ?? last;
  const moves = {
    ArrowLeft: () => now - 1,
    ArrowRight: () => now + 1,
    ArrowUp: () => besides(-1),
    ArrowDown: () => besides(1),
    Home: () => 0,
    End: () => last,
  };
  if (moves[event.key]) {
    event.preventDefault();
    select(moves[event.key]());
    (elements[state.selected] ?? caret).scrollIntoView({ block: "nearest" });
  } else if (event.key === "Enter") {
    event.preventDefault();
    location.hash = "#choose";
  }
});

on("selected", mark);

const SCALE = [1, 0.5, 0.1, 0.01];
find("legend").append(
  "sure ",
  ...SCALE.map((p) => {
    const cell = make("span", { className: "token" }, percent(p));
    cell.style.setProperty("--shade", surprise(p));
    return cell;
  }),
  " surprised",
);
