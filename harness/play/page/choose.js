// Choosing: sliders for the draw, and bars of the likeliest tokens in a place.

import { ask, latest } from "./api.js";
import { find, make, percent, sayProblem, spoken, visible } from "./dom.js";
import { ids, on, request, state, tell } from "./state.js";
import { putToken, setModel } from "./write.js";

// A slider goes from 0 to 1; `off` is where its filter does nothing.
const SLIDERS = [
  {
    name: "temperature",
    label: "Temperature",
    at: 0.4,
    read: (x) => Math.round(2 * x * 20) / 20,
    say: (value) => (value === 0 ? "0 · always the likeliest" : value.toFixed(2)),
  },
  {
    name: "top_k",
    label: "Top-k",
    at: 1,
    read: (x) => (x >= 1 ? null : Math.max(1, Math.round((state.model?.vocabulary ?? 65) ** x))),
    say: (value) => (value === null ? "off" : `the ${value} likeliest`),
  },
  {
    name: "top_p",
    label: "Top-p",
    at: 1,
    read: (x) => (x >= 1 ? null : Math.max(0.01, Math.round(100 * x) / 100)),
    say: (value) => (value === null ? "off" : `${Math.round(100 * value)} % of the mass`),
  },
  {
    name: "min_p",
    label: "Min-p",
    at: 0,
    read: (x) => (x <= 0 ? null : Math.round(50 * x) / 100),
    say: (value) => (value === null ? "off" : `${Math.round(100 * value)} % of the likeliest`),
  },
];

function slider({ name, label, at, read, say }) {
  const input = make("input", { type: "range", min: 0, max: 1, step: "any", id: `slider-${name}` });
  input.step = 0.01;
  input.value = at;
  const output = make("output", { htmlFor: input.id });
  const update = () => {
    state.settings[name] = read(Number(input.value));
    output.textContent = say(state.settings[name]);
    input.setAttribute("aria-valuetext", output.textContent);
    input.style.setProperty("--at", input.value);
  };
  input.addEventListener("input", () => {
    update();
    tell("settings");
  });
  update();
  return make("label", { className: "slider", id: `label-${name}`, htmlFor: input.id }, make("span", {}, label), output, input);
}

find("sliders").append(...SLIDERS.map(slider));

export function offerMinP(offered) {
  find("label-min_p").hidden = !offered;
  if (!offered) state.settings.min_p = null;
}

const where = find("choose-where");
const list = find("bars");

const redraw = latest(async () => {
  if (state.view !== "choose" || !state.model) return;
  const place = state.selected ?? state.tokens.length;
  if (place === 0) {
    where.textContent = "Nothing comes before the first token. Select another one.";
    list.replaceChildren();
    return;
  }
  try {
    const found = await ask("/api/likely", request({ ids: ids(), position: place - 1 }));
    setModel(found.model);
    if (place <= state.tokens.length) show(found, place);
  } catch (error) {
    sayProblem(where, error);
  }
});

function show(found, place) {
  const left = found.left === found.of ? `All ${found.of} tokens can be drawn.` : `${found.left} of ${found.of} tokens can be drawn.`;
  const at = place < state.tokens.length ? `In place ${place + 1}. ` : "After the text. ";
  where.textContent = at + left;
  const most = Math.max(...found.bars.map(({ before, after }) => Math.max(before, after)), 0.01);
  const rows = found.bars.map((bar) => row(bar, most, place));
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  list.replaceChildren(...rows);
  if (focused) list.querySelector(`[data-id="${focused}"]`)?.focus();
}

function row(bar, most, place) {
  const chosen = bar.chosen ? ", the one in the text" : "";
  const button = make(
    "button",
    {
      type: "button",
      className: bar.chosen ? "bar chosen" : "bar",
      "data-id": bar.id,
      "aria-label": `Put ${spoken(bar.text)} here: ${percent(bar.before)}, after filters ${percent(bar.after)}${chosen}`,
      title: "Put this token here, and go on from it",
    },
    make("span", { className: "name" }, visible(bar.text)),
    make("span", { className: "tracks" }, track("before", bar.before / most), track("after", bar.after / most)),
    make("span", { className: bar.after ? "chance" : "chance none" }, percent(bar.after)),
  );
  button.addEventListener("click", () => putToken(place, bar));
  return make("li", {}, button);
}

function track(name, share) {
  const made = make("span", { className: name });
  made.style.width = `${100 * share}%`;
  made.hidden = !share; // nothing is left of it
  return made;
}

for (const name of ["selected", "settings", "grown", "view"]) on(name, redraw);
on("model", () => {
  const k = find("slider-top_k");
  if (Number(k.value) < 1) k.dispatchEvent(new Event("input"));
});
