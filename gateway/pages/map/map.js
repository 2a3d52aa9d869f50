// The page: joins the link, the city, the canvas and the panel.

import { MapCanvas } from "./map_canvas.js";
import { City } from "./map_city.js";
import { Link } from "./map_link.js";
import { Story } from "./map_story.js";

const MAX_EVENTS = 40;
const CONNECTION = {
  connecting: () => "connecting",
  live: () => "live",
  waiting: (seconds) => `lost, back in ${seconds} s`,
  stopped: () => "not connected",
};
const find = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 760px)");

let city = new City();
const canvas = find("map");
const map = new MapCanvas(canvas, insets);
const story = new Story({
  token: () => link.token,
  opened: (subject) => (map.chosen = subject.kind === "task" ? subject.id : null),
  closed: () => (map.chosen = null),
});
const link = new Link(`${location.origin.replace("http", "ws")}/ws`, {
  city: takeFrame,
  state: showConnection,
  refused,
});

/** Which part of the window the map may fill: the panel covers the rest. */
function insets() {
  const panel = find("panel").getBoundingClientRect();
  const edge = 28;
  if (narrow.matches) return { left: edge, right: edge, top: 64, bottom: innerHeight - panel.top };
  const key = find("key").getBoundingClientRect();
  return { left: edge, right: innerWidth - panel.left, top: 72, bottom: innerHeight - key.top };
}

// ── Frames

function takeFrame(frame) {
  const now = performance.now();
  const happened = city.take(frame, now);
  map.remember(city.steps.splice(0));
  map.aim(city);
  showStats(frame.stats);
  showPace(frame.stats, frame.pace);
  for (const event of happened) showEvent(event, frame.at);
}

function showStats(stats) {
  for (const name of [
    "sessions", "live", "matching", "en_route", "working",
    "offers_today", "accepted_today", "paid_today", "no_accept_today",
  ]) show(name, stats[name].toLocaleString("en-US"));
  show("accept-median", seconds(stats.median_time_to_accept_s));
  show("accept-p95", seconds(stats.p95_time_to_accept_s));
  show("machine-median", seconds(stats.median_first_card_s));
  show("people-median", seconds(stats.median_human_s));
  const machine = stats.median_first_card_s ?? 0;
  const whole = machine + (stats.median_human_s ?? 0);
  find("split-machine").style.flexGrow = whole ? Math.max(0.012, machine / whole) : 0;
  find("split-people").style.flexGrow = whole ? 1 - machine / whole : 0;
}

/** Simulated people are hurried: what their median would be at life's pace, machinery as it is. */
function showPace({ median_first_card_s: machine, median_human_s: human }, pace) {
  const isFaster = Boolean(pace) && pace !== 1;
  find("pace").hidden = !isFaster || human === null;
  show("goal-pace", isFaster ? "at life's pace" : "or less");
  if (find("pace").hidden) return;
  show("pace-times", `${pace}\u00d7`);
  show("pace-life", `about ${Math.round(machine + human * pace)} s`);
}

function show(id, text) {
  const place = find(id);
  if (place.textContent === text) return;
  place.textContent = text;
  place.classList.remove("changed");
  requestAnimationFrame(() => place.classList.add("changed"));
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 1 : 0)} s`;
}

function showEvent({ kind, title, text, price, id }, at) {
  const line = document.createElement("li");
  line.className = kind;
  const all = document.createElement("button");
  all.type = "button";
  all.addEventListener("click", () => story.openTask(id));
  const time = document.createElement("time");
  time.dateTime = at;
  time.textContent = new Date(at).toLocaleTimeString([], { hour12: false });
  const name = document.createElement("b");
  name.textContent = title;
  const cost = document.createElement("span");
  cost.textContent = price;
  const rest = document.createElement("em");
  rest.textContent = text;
  all.append(name, cost, rest, time);
  line.append(all);
  const list = find("events");
  list.prepend(line);
  while (list.children.length > MAX_EVENTS) list.lastChild.remove();
  find("quiet").hidden = true;
}

function showConnection(state, wait) {
  const place = find("connection");
  const text = CONNECTION[state](wait);
  if (place.textContent !== text) place.textContent = text;
  place.dataset.state = state;
}

// ── Whose eyes: the development service fills the token in, elsewhere an admin gives one

// A page refused sooner than this would be refused again.
const RELOAD_AFTER_MS = 60_000;
const given = document.querySelector('meta[name="hx-observer-token"]').content;

function tokenAtHand() {
  return given || sessionStorage.getItem("hx-observer-token");
}

function refused(why) {
  // What is filled in lasts minutes; the page, loaded anew, has a fresh one.
  if (given && performance.now() > RELOAD_AFTER_MS) location.reload();
  else askForToken(why);
}

function askForToken(why) {
  sessionStorage.removeItem("hx-observer-token");
  if (why) find("ask-why").textContent = why;
  find("ask-token").value = "";
  if (!find("ask").open) find("ask").showModal();
}

find("ask").addEventListener("cancel", (event) => event.preventDefault());
find("ask-form").addEventListener("submit", () => {
  const token = find("ask-token").value.trim();
  sessionStorage.setItem("hx-observer-token", token);
  link.open(token);
});

// ── Hands

const CLICK_PX = 6;
const fingers = new Map();
let pressedAt = null;
let moved = false;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  moved = fingers.size > 1;
  pressedAt = { x: event.offsetX, y: event.offsetY };
});
canvas.addEventListener("pointermove", (event) => {
  const here = { x: event.offsetX, y: event.offsetY };
  map.pointer = event.pointerType === "touch" ? null : here;
  const before = fingers.get(event.pointerId);
  if (!before) return;
  if (pressedAt && apart(here, pressedAt) > CLICK_PX) moved = true;
  if (!moved) return;
  const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, spot]) => spot);
  fingers.set(event.pointerId, here);
  if (others.length === 0) map.pan(here.x - before.x, here.y - before.y);
  else {
    const [other] = others;
    const grown = apart(here, other) / Math.max(1, apart(before, other));
    map.zoom(grown, (here.x + other.x) / 2, (here.y + other.y) / 2);
  }
  showFollowing();
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    fingers.delete(event.pointerId);
    if (name === "pointerup" && !moved) choose({ x: event.offsetX, y: event.offsetY });
    if (event.pointerType === "touch") {
      map.pointer = { x: event.offsetX, y: event.offsetY };
      setTimeout(() => pointAtNothing(), 2500);
    }
  });
}
canvas.addEventListener("pointerleave", () => pointAtNothing());
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    map.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    showFollowing();
  },
  { passive: false },
);

/** The story of what stands at a spot: a task, else a hustler. */
function choose(spot) {
  if (!map.view) return;
  const task = map.taskAt(city, spot);
  if (task) return void story.openTask(task.id);
  const dot = map.dotAt(city, spot, performance.now());
  if (dot) story.openNearest(...city.degrees(dot.to));
}

/** Mark the next task, in the order in which they began. */
function step(by) {
  const tasks = [...city.tasks.values()].filter((task) => !task.endedAt);
  if (tasks.length === 0) return;
  const at = tasks.findIndex((task) => task.id === map.marked);
  const next = tasks[(at + by + tasks.length) % tasks.length];
  map.marked = next.id;
  speak(`${next.title}, ${map.wordsOf(next)}`);
}

function speak(text) {
  find("spoken").textContent = text;
}

const KEYS = {
  n: () => step(1),
  p: () => step(-1),
  Enter: () => map.marked && story.openTask(map.marked),
  Escape: () => story.close(),
  ArrowLeft: () => map.pan(60, 0),
  ArrowRight: () => map.pan(-60, 0),
  ArrowUp: () => map.pan(0, 60),
  ArrowDown: () => map.pan(0, -60),
  "+": () => map.zoom(1.3),
  "=": () => map.zoom(1.3),
  "-": () => map.zoom(1 / 1.3),
  0: fitAll,
};
canvas.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  act();
  showFollowing();
});
find("zoom-in").addEventListener("click", KEYS["+"]);
find("zoom-out").addEventListener("click", KEYS["-"]);
find("fit").addEventListener("click", fitAll);
document.querySelector(".tools").addEventListener("click", showFollowing);

function apart(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function fitAll() {
  map.follow(true);
  map.aim(city);
}

function showFollowing() {
  find("fit").setAttribute("aria-pressed", String(map.following));
}

function pointAtNothing() {
  map.pointer = null;
  find("tip").hidden = true;
}

map.onPoint = (task, spot) => {
  const tip = find("tip");
  tip.hidden = !task;
  if (!task) return;
  tip.textContent = `${task.title} · ${map.wordsOf(task)}`;
  tip.style.transform = `translate(${Math.round(spot.x + 16)}px, ${Math.round(spot.y + 10)}px)`;
};

// ── Time

function showScale() {
  if (!map.view) return;
  const miles = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20].find((length) => length * map.view.scale > 60);
  find("scale-bar").style.width = `${(miles ?? 20) * map.view.scale}px`;
  find("scale-text").textContent = `${miles ?? 20} mi`;
}

function frame() {
  requestAnimationFrame(frame);
  map.draw(city, performance.now());
}

if (!narrow.matches) find("key").open = true;
requestAnimationFrame(frame);
setInterval(showScale, 250);
const token = tokenAtHand();
if (token) link.open(token);
else {
  showConnection("stopped");
  askForToken("");
}
