// Runs: their curves, what they wrote on the way, and the rungs of the ladder.

import { get, latest } from "./api.js";
import { draw, find, make, sayProblem } from "./dom.js";
import { on, state, tell } from "./state.js";

const COLOURS = 5;
let facts = null;
let hidden = new Set();
let chosen = null; // the run whose samples are shown
let atEnd = true;

const redraw = latest(async () => {
  if (state.view !== "runs") return;
  try {
    facts = await get("/api/runs");
    show();
  } catch (error) {
    sayProblem(find("run-list"), error);
  }
});

const paint = (name) => `var(--line-${facts.runs.findIndex((run) => run.name === name) % COLOURS})`;

function show() {
  if (!facts.runs.some((run) => run.name === chosen)) chosen = facts.runs.find((run) => run.samples.length)?.name ?? facts.runs[0]?.name;
  showList();
  showChart();
  showSamples();
  showLadder();
}

function showList() {
  if (!facts.runs.length) {
    find("run-list").replaceChildren(make("li", { className: "empty" }, "No run yet. Train one: ", make("code", {}, "harness train")));
    return;
  }
  find("run-list").replaceChildren(...facts.runs.map(item));
}

function item(run) {
  const shown = make("input", { type: "checkbox", checked: !hidden.has(run.name), "aria-label": `Draw the curves of ${run.name}` });
  shown.style.accentColor = paint(run.name);
  shown.addEventListener("change", () => {
    hidden[shown.checked ? "delete" : "add"](run.name);
    showChart();
  });
  const best = Math.min(...run.evaluations.map(([, loss]) => loss));
  const loss = Number.isFinite(best) ? best.toFixed(3) : "–";
  const about = [run.text, run.sizes, ...run.parts].filter(Boolean).join(" · ");
  const name = make("button", { type: "button", className: "link", title: "Show what it wrote" }, run.name);
  name.setAttribute("aria-pressed", run.name === chosen);
  name.addEventListener("click", () => {
    chosen = run.name;
    atEnd = true;
    show();
  });
  const use = make("button", { type: "button", className: "small" }, "Write with it");
  use.addEventListener("click", () => {
    tell("run", run.name);
    location.hash = "#write";
  });
  const steps = run.maxSteps ? `${run.step.toLocaleString("en")} of ${run.maxSteps.toLocaleString("en")} steps` : "";
  const meter = make("progress", { max: Math.max(run.maxSteps, 1), value: run.step, "aria-label": `Steps of ${run.name}` });
  return make(
    "li",
    { className: run.name === chosen ? "chosen" : "" },
    shown,
    make("div", {}, make("p", {}, name, run.live ? make("span", { className: "badge live" }, "in training") : ""), make("p", { className: "hint" }, about), ...(run.live ? [meter] : []), make("p", { className: "hint" }, steps)),
    make("div", { className: "end" }, make("b", {}, loss), ...(run.hasModel ? [use] : [])),
  );
}

// Axes, lines of reference, then for each run the loss of its steps, thin, and of its evaluations.
function showChart() {
  const runs = facts.runs.filter((run) => !hidden.has(run.name) && run.evaluations.length + run.steps.length);
  const rungs = runs.some((run) => run.text === facts.shakespeare) ? facts.ladder : [];
  if (!runs.length) return find("chart").replaceChildren();
  const width = Math.max(280, find("chart").clientWidth);
  const box = { width, height: Math.max(240, Math.min(0.5 * width, 520)), left: 42, right: 14, top: 14, bottom: 34 };
  const marks = references(runs);
  const losses = runs.flatMap((run) => run.evaluations.map(([, loss]) => loss));
  const lows = [...losses, ...marks.map(({ loss }) => loss), ...runs.flatMap((run) => run.steps.map(([, loss]) => loss))];
  const low = Math.floor((Math.min(...lows) - 0.08) * 5) / 5;
  const high = Math.min(Math.max(...losses, low + 1), Math.max(low + 2.2, 3.4));
  const end = Math.max(...runs.map((run) => Math.max(run.step, 1)));
  const x = (step) => box.left + (step / end) * (box.width - box.left - box.right);
  const y = (loss) => box.top + ((high - Math.min(loss, high)) / (high - low)) * (box.height - box.top - box.bottom);
  const chart = draw("svg", { viewBox: `0 0 ${box.width} ${box.height}`, role: "img", "aria-label": summary(runs) });
  chart.append(...axes(x, y, low, high, end, box));
  for (const { loss, text } of marks) {
    chart.append(draw("line", { x1: box.left, x2: box.width - box.right, y1: y(loss), y2: y(loss), class: "mark" }));
    chart.append(draw("text", { x: box.width - box.right - 4, y: y(loss) - 6, class: "mark-name" }, text));
  }
  for (const rung of rungs) {
    const inside = rung.curve.filter(([step]) => step <= end);
    chart.append(draw("polyline", { points: path(inside, x, y), class: "rung" }));
    const last = inside.at(-1);
    // Below the end of its curve, as the names of the lines of reference are above them.
    if (last && last[1] < high) chart.append(draw("text", { x: x(last[0]), y: y(last[1]) + 14, class: "rung-name" }, rung.rung));
  }
  for (const run of runs) {
    const stroke = paint(run.name);
    chart.append(draw("polyline", { points: path(run.steps, x, y), class: "steps" }));
    chart.lastChild.style.stroke = stroke;
    chart.append(draw("polyline", { points: path(run.evaluations, x, y), class: "evaluations" }));
    chart.lastChild.style.stroke = stroke;
    for (const [step, loss] of run.evaluations) {
      if (loss > high) continue;
      const dot = draw("circle", { cx: x(step), cy: y(loss), r: 3.6 }, draw("title", {}, `${run.name}, step ${step}: ${loss.toFixed(4)}`));
      dot.style.fill = stroke;
      chart.append(dot);
    }
  }
  find("chart").replaceChildren(chart);
  const units = [...new Set(runs.map((run) => run.unit))];
  find("runs-unit").textContent = `Loss in nats per ${units.join(" or, with tokens, per ")}: thin on the batches, with dots on the validation text.`;
}

const path = (points, x, y) => points.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");

function references(runs) {
  const marks = runs.filter((run) => run.floor).map((run) => ({ loss: run.floor, text: `entropy of ${run.text}: ${run.floor.toFixed(3)}` }));
  if (runs.some((run) => run.text === facts.shakespeare)) marks.push({ loss: facts.nanogpt, text: `nanoGPT on a CPU: ${facts.nanogpt}` });
  return [...new Map(marks.map((mark) => [mark.text, mark])).values()];
}

function axes(x, y, low, high, end, box) {
  const made = [];
  const stride = high - low > 2 ? 0.5 : 0.2;
  for (let loss = Math.ceil(low / stride) * stride; loss <= high + 1e-9; loss += stride) {
    made.push(draw("line", { x1: box.left, x2: box.width - box.right, y1: y(loss), y2: y(loss), class: "grid" }));
    made.push(draw("text", { x: box.left - 8, y: y(loss) + 4, class: "tick end" }, loss.toFixed(1)));
  }
  const nice = [1, 2, 5].map((each) => each * 10 ** Math.floor(Math.log10(end / 4))).concat(10 ** (Math.floor(Math.log10(end / 4)) + 1));
  const gap = nice.find((each) => end / each <= box.width / 110) ?? end;
  for (let step = 0; step <= end; step += gap) made.push(draw("text", { x: x(step), y: box.height - 10, class: "tick" }, step.toLocaleString("en")));
  return made;
}

function summary(runs) {
  const parts = runs.map((run) => `${run.name}: ${run.evaluations.at(-1)?.[1].toFixed(3) ?? "no"} validation loss after ${run.step} steps`);
  return `Curves of the loss. ${parts.join("; ")}.`;
}

function showSamples() {
  const run = facts.runs.find((each) => each.name === chosen);
  const samples = run?.samples ?? [];
  find("sample-card").hidden = !samples.length;
  if (!samples.length) return;
  const slider = find("sample-at");
  slider.max = samples.length - 1;
  if (atEnd || Number(slider.value) > samples.length - 1) slider.value = samples.length - 1;
  const sample = samples[Number(slider.value)];
  const loss = run.evaluations.find(([step]) => step === sample.step)?.[1];
  find("sample-step").textContent = `${run.name}, step ${sample.step.toLocaleString("en")}${loss ? ` · loss ${loss.toFixed(3)}` : ""}`;
  slider.setAttribute("aria-valuetext", find("sample-step").textContent);
  slider.style.setProperty("--at", samples.length > 1 ? slider.value / (samples.length - 1) : 1);
  find("sample").textContent = sample.text;
}

find("sample-at").addEventListener("input", () => {
  atEnd = find("sample-at").value === find("sample-at").max;
  showSamples();
});

function showLadder() {
  find("ladder-card").hidden = !facts.ladder.length;
  const most = Math.max(...facts.ladder.map(({ seconds }) => seconds), 1e-9);
  find("ladder").replaceChildren(
    ...facts.ladder.map((rung) => {
      const bar = make("span", { className: "after" });
      bar.style.width = `${(100 * rung.seconds) / most}%`;
      const time = rung.reached ? `${rung.seconds.toFixed(1)} s` : `loss ${rung.loss.toFixed(2)} after ${rung.seconds.toFixed(0)} s`;
      return make("li", {}, make("b", {}, rung.rung), make("span", { className: "tracks" }, bar), make("span", { className: "chance" }, time));
    }),
  );
}

for (const name of ["view", "curves"]) on(name, redraw);
addEventListener("resize", () => state.view === "runs" && facts && showChart());
