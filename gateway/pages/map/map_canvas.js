// The map itself: a canvas without tiles. The streets appear because hustlers drive on them: every
// step they take leaves a faint line, and busy streets grow brighter.

import { STATES, positionOf, price, radiusOf } from "./map_city.js";

const MAX_STEPS = 60_000;
const PULSE_MS = 1600;
const WORDS = { MATCHING: "looking", ACCEPTED: "en route", WORKING: "working" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const light = matchMedia("(prefers-color-scheme: light)");

/** The page's own colours; the style sheet holds them for both schemes. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = [
    "live", "enroute", "working", "looking", "paid", "over", "text", "ground", "street", "grid",
  ];
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}

/** A colour, thinned. */
const thin = (colour, share) => `color-mix(in srgb, ${colour} ${share * 100}%, transparent)`;

export class MapCanvas {
  constructor(canvas, insets) {
    this.canvas = canvas;
    this.insets = insets;
    this.ink = canvas.getContext("2d");
    this.streets = document.createElement("canvas");
    this.streetInk = this.streets.getContext("2d");
    this.steps = [];
    this.view = null;
    this.goal = null;
    this.following = true;
    this.pointer = null;
    this.chosen = null;
    this.marked = null;
    this.colour = colours();
    light.addEventListener("change", () => {
      this.colour = colours();
      this.redrawStreets();
    });
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  // ── What part of the world is seen: `view` is miles at the centre, and pixels per mile

  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    for (const canvas of [this.canvas, this.streets]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
    this.ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.streetInk.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.redrawStreets();
  }

  /** Aim at every task, as far as its offer reaches, and at nearly every hustler. */
  aim(city) {
    const tasks = [...city.tasks.values()];
    if (!this.following || tasks.length + city.dots.length === 0) return;
    const ends = (axis) => tasks.flatMap((task) => {
      const reach = task.state === "MATCHING" ? task.radius : 0;
      return [task[axis] - reach, task[axis] + reach];
    });
    const [left, right] = span(city.dots.map((dot) => dot.to.x), ends("x"));
    const [top, bottom] = span(city.dots.map((dot) => dot.to.y), ends("y"));
    const inset = this.insets();
    const wide = Math.max(80, this.width - inset.left - inset.right);
    const tall = Math.max(80, this.height - inset.top - inset.bottom);
    const scale = Math.min(400, wide / (right - left), tall / (bottom - top));
    const goal = {
      x: (left + right) / 2 + (inset.right - inset.left) / 2 / scale,
      y: (top + bottom) / 2 + (inset.bottom - inset.top) / 2 / scale,
      scale,
    };
    if (!this.view) this.view = { ...goal };
    else if (this.goal || this.differs(goal)) this.goal = goal;
  }

  differs(goal) {
    const { x, y, scale } = this.view;
    const drift = Math.hypot(goal.x - x, goal.y - y) * scale;
    return drift > 60 || goal.scale / scale > 1.25 || goal.scale / scale < 0.97;
  }

  glide() {
    if (!this.goal) return;
    const { view, goal } = this;
    const share = calm.matches ? 1 : 0.08;
    for (const key of ["x", "y", "scale"]) view[key] += (goal[key] - view[key]) * share;
    const near = Math.hypot(goal.x - view.x, goal.y - view.y) * view.scale < 0.5;
    if (near && Math.abs(goal.scale / view.scale - 1) < 0.002) this.goal = null;
    this.redrawStreets();
  }

  follow(on) {
    this.following = on;
    if (!on) this.goal = null;
  }

  pan(dx, dy) {
    if (!this.view) return;
    this.follow(false);
    this.view.x -= dx / this.view.scale;
    this.view.y -= dy / this.view.scale;
    this.redrawStreets();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    if (!this.view) return;
    this.follow(false);
    const under = this.toWorld(px, py);
    this.view.scale = Math.min(4000, Math.max(4, this.view.scale * factor));
    const now = this.toWorld(px, py);
    this.view.x += under.x - now.x;
    this.view.y += under.y - now.y;
    this.redrawStreets();
  }

  toPixels(spot) {
    const { x, y, scale } = this.view;
    return {
      x: (spot.x - x) * scale + this.width / 2,
      y: (spot.y - y) * scale + this.height / 2,
    };
  }

  toWorld(px, py) {
    const { x, y, scale } = this.view;
    return { x: (px - this.width / 2) / scale + x, y: (py - this.height / 2) / scale + y };
  }

  // ── Streets

  remember(steps) {
    if (!this.view) return;
    this.steps.push(...steps);
    if (this.steps.length > MAX_STEPS) this.steps.splice(0, this.steps.length - MAX_STEPS * 0.8);
    this.drawSteps(steps);
  }

  drawSteps(steps) {
    const ink = this.streetInk;
    ink.globalCompositeOperation = light.matches ? "source-over" : "lighter";
    ink.strokeStyle = this.colour.street;
    ink.lineCap = "round";
    ink.lineWidth = Math.min(5, Math.max(1.2, this.view.scale / 45));
    for (const { from, to } of steps) {
      const a = this.toPixels(from);
      const b = this.toPixels(to);
      if (Math.max(a.x, b.x) < 0 || Math.min(a.x, b.x) > this.width) continue;
      if (Math.max(a.y, b.y) < 0 || Math.min(a.y, b.y) > this.height) continue;
      ink.beginPath();
      ink.moveTo(a.x, a.y);
      ink.lineTo(b.x, b.y);
      ink.stroke();
    }
  }

  redrawStreets() {
    this.streetInk.clearRect(0, 0, this.width, this.height);
    if (this.view) this.drawSteps(this.steps);
  }

  // ── One frame

  draw(city, now) {
    const { ink } = this;
    ink.clearRect(0, 0, this.width, this.height);
    if (!this.view) return;
    this.glide();
    this.drawGraticule();
    ink.drawImage(this.streets, 0, 0, this.width, this.height);
    const tasks = [...city.tasks.values()];
    for (const task of tasks) if (task.state === "MATCHING") this.drawReach(task, now);
    for (const task of tasks) if (task.state === "ACCEPTED") this.drawWay(task, city.dots, now);
    this.drawDots(city, now);
    this.labels = [];
    for (const task of tasks.sort((a, b) => rank(b) - rank(a))) this.drawTask(task, now);
    for (const task of tasks) if (task.state === "ACCEPTED") this.nameWinner(task, city.dots, now);
    for (const id of [this.marked, this.chosen]) this.drawRing(city.tasks.get(id));
    if (this.pointer) this.drawPointed(this.taskAt(city, this.pointer));
  }

  drawGraticule() {
    const { ink } = this;
    const first = this.toWorld(0, 0);
    const last = this.toWorld(this.width, this.height);
    if (last.x - first.x > 80) return;
    ink.beginPath();
    for (let x = Math.ceil(first.x); x <= last.x; x += 1) {
      const px = Math.round(this.toPixels({ x, y: 0 }).x) + 0.5;
      ink.moveTo(px, 0);
      ink.lineTo(px, this.height);
    }
    for (let y = Math.ceil(first.y); y <= last.y; y += 1) {
      const py = Math.round(this.toPixels({ x: 0, y }).y) + 0.5;
      ink.moveTo(0, py);
      ink.lineTo(this.width, py);
    }
    ink.strokeStyle = this.colour.grid;
    ink.lineWidth = 1;
    ink.stroke();
  }

  drawReach(task, now) {
    const { ink } = this;
    if (task.endedAt) return;
    const spot = this.toPixels(task);
    const radius = radiusOf(task, now) * this.view.scale;
    const colour = this.colour.looking;
    const glow = ink.createRadialGradient(spot.x, spot.y, 0, spot.x, spot.y, radius);
    glow.addColorStop(0, thin(colour, 0.1));
    glow.addColorStop(0.7, thin(colour, 0.035));
    glow.addColorStop(1, thin(colour, 0.08));
    ink.fillStyle = glow;
    this.circle(spot, radius);
    ink.fill();
    ink.strokeStyle = thin(colour, task.reaches.length ? 0.85 : 0.45);
    ink.lineWidth = task.reaches.length ? 1.8 : 1;
    ink.stroke();
    this.drawGrowth(task, spot, radius);
    if (calm.matches) return;
    for (const at of task.pulses) {
      const share = (now - at) / PULSE_MS;
      if (share < 0 || share > 1) continue;
      this.circle(spot, radius * (1 - (1 - share) ** 2));
      ink.strokeStyle = thin(colour, 0.7 * (1 - share));
      ink.lineWidth = 2;
      ink.stroke();
    }
  }

  /** The radii before, and how far it reaches now. */
  drawGrowth(task, spot, radius) {
    if (task.reaches.length === 0) return;
    const { ink } = this;
    ink.save();
    ink.setLineDash([2, 5]);
    ink.lineWidth = 1;
    ink.strokeStyle = thin(this.colour.looking, 0.55);
    for (const reach of task.reaches) {
      this.circle(spot, reach * this.view.scale);
      ink.stroke();
    }
    ink.restore();
    ink.textAlign = "center";
    this.write(`${task.radius} mi`, spot.x, spot.y - radius - 5, this.colour.looking);
    ink.textAlign = "start";
  }

  drawWay(task, dots, now) {
    if (!task.hustlerSpot || task.endedAt) return;
    const { ink } = this;
    const from = this.toPixels(this.winnerAt(task, dots, now));
    const to = this.toPixels(task);
    const fresh = Math.max(0, 1 - (now - (task.changedAt ?? 0)) / 1200);
    ink.save();
    ink.setLineDash([5, 6]);
    ink.lineDashOffset = calm.matches ? 0 : -((now / 45) % 11);
    ink.strokeStyle = thin(this.colour.enroute, 0.6 + 0.4 * fresh);
    ink.lineWidth = 1.5 + 2.5 * fresh;
    ink.beginPath();
    ink.moveTo(from.x, from.y);
    ink.lineTo(to.x, to.y);
    ink.stroke();
    ink.restore();
  }

  /** The winner's dot glides; the line holds on to it rather than to the last raw position. */
  winnerAt(task, dots, now) {
    let best = task.hustlerSpot;
    let least = 0.05;
    for (const dot of dots) {
      const apart = Math.hypot(dot.to.x - task.hustlerSpot.x, dot.to.y - task.hustlerSpot.y);
      if (dot.state > 0 && apart < least) [best, least] = [positionOf(dot, now), apart];
    }
    return best;
  }

  nameWinner(task, dots, now) {
    if (!task.hustlerSpot || !task.hustler_name || task.endedAt) return;
    const spot = this.toPixels(this.winnerAt(task, dots, now));
    this.label(task.hustler_name, spot.x + 8, spot.y + 14, this.colour.enroute);
  }

  drawDots(city, now) {
    const { ink } = this;
    const size = Math.min(4.4, Math.max(1.8, this.view.scale / 24));
    for (const dot of city.dots) {
      const spot = this.toPixels(positionOf(dot, now));
      const colour = this.colour[STATES[dot.state] ?? "live"];
      const seen = dot.goneAt ? Math.max(0, 1 - (now - dot.goneAt) / 1200) : 1;
      ink.globalAlpha = seen * (dot.state > 0 ? 0.22 : 0.12);
      ink.fillStyle = colour;
      this.circle(spot, size * 2.6);
      ink.fill();
      ink.globalAlpha = seen;
      this.circle(spot, dot.state > 0 ? size * 1.15 : size);
      ink.fill();
      const born = (now - dot.bornAt) / 1000;
      if (born < 1 && !calm.matches) {
        ink.globalAlpha = 1 - born;
        ink.strokeStyle = colour;
        ink.lineWidth = 1.5;
        this.circle(spot, size + born * 14);
        ink.stroke();
      }
    }
    ink.globalAlpha = 1;
  }

  drawTask(task, now) {
    const { ink } = this;
    const spot = this.toPixels(task);
    const kind = task.paid ? "paid" : kindOf(task.state);
    const gone = task.endedAt ? (now - task.endedAt) / 4000 : 0;
    ink.globalAlpha = 1 - gone ** 2;
    if (kind === "working" && !task.paid && !calm.matches) {
      ink.strokeStyle = this.colour.working;
      ink.lineWidth = 1.5;
      ink.beginPath();
      ink.arc(spot.x, spot.y, 11, now / 500, now / 500 + 4.2);
      ink.stroke();
    }
    if (task.paid && !calm.matches) {
      ink.strokeStyle = this.colour.paid;
      ink.lineWidth = 2 * (1 - gone);
      this.circle(spot, 8 + 46 * Math.min(1, gone * 2.2));
      ink.stroke();
    }
    ink.fillStyle = this.colour.ground;
    this.diamond(spot, 7.5);
    ink.fill();
    ink.fillStyle = task.endedAt && !task.paid ? this.colour.over : this.colour[kind];
    this.diamond(spot, 5);
    ink.fill();
    const lift = task.paid && !calm.matches ? 18 * gone : 0;
    const text = task.paid ? `${price(task)} paid` : price(task);
    this.label(text, spot.x + 10, spot.y - 9 - lift, ink.fillStyle);
    ink.globalAlpha = 1;
  }

  /** A price beside its task, unless a more important one is written there already. */
  label(text, x, y, colour) {
    const { ink } = this;
    ink.font = "600 11px ui-sans-serif, system-ui, sans-serif";
    const box = { x, y, width: ink.measureText(text).width };
    const taken = (other) =>
      Math.abs(other.y - y) < 12 && x < other.x + other.width && other.x < x + box.width;
    if (this.labels.some(taken)) return;
    this.labels.push(box);
    this.write(text, x, y, colour);
  }

  /** Text that stays readable on whatever it stands. */
  write(text, x, y, colour) {
    const { ink } = this;
    ink.font = "600 11px ui-sans-serif, system-ui, sans-serif";
    ink.lineWidth = 3.5;
    ink.lineJoin = "round";
    ink.strokeStyle = thin(this.colour.ground, 0.88);
    ink.strokeText(text, x, y);
    ink.fillStyle = colour;
    ink.fillText(text, x, y);
  }

  // ── What stands where

  /** The task nearest to a spot, if one is near. */
  taskAt(city, spot) {
    return this.nearestTo(spot, city.tasks.values(), (task) => task, 22);
  }

  /** The hustler nearest to a spot, if one is near. */
  dotAt(city, spot, now) {
    return this.nearestTo(spot, city.dots, (dot) => positionOf(dot, now), 16);
  }

  nearestTo(spot, things, placeOf, within) {
    let best = null;
    let least = within;
    for (const thing of things) {
      const there = this.toPixels(placeOf(thing));
      const apart = Math.hypot(there.x - spot.x, there.y - spot.y);
      if (apart < least) [best, least] = [thing, apart];
    }
    return best;
  }

  /** A task's state in a few words. */
  wordsOf(task) {
    const state = task.paid ? "paid" : (WORDS[task.state] ?? "in review");
    if (task.state !== "MATCHING") return state;
    return `${state}, reaches ${task.radius} miles, ${task.hustlers_notified ?? 0} cards`;
  }

  drawRing(task) {
    if (!task) return;
    this.ink.strokeStyle = this.colour.text;
    this.ink.lineWidth = 2;
    this.circle(this.toPixels(task), 15);
    this.ink.stroke();
  }

  drawPointed(task) {
    this.onPoint?.(task, task && this.toPixels(task));
    if (!task) return;
    this.ink.strokeStyle = this.colour.text;
    this.ink.lineWidth = 1.5;
    this.circle(this.toPixels(task), 13);
    this.ink.stroke();
  }

  circle(spot, radius) {
    this.ink.beginPath();
    this.ink.arc(spot.x, spot.y, Math.max(0, radius), 0, Math.PI * 2);
  }

  diamond(spot, size) {
    const { ink } = this;
    ink.beginPath();
    ink.moveTo(spot.x, spot.y - size);
    ink.lineTo(spot.x + size, spot.y);
    ink.lineTo(spot.x, spot.y + size);
    ink.lineTo(spot.x - size, spot.y);
    ink.closePath();
  }
}

function kindOf(state) {
  if (state === "MATCHING") return "looking";
  return state === "ACCEPTED" ? "enroute" : "working";
}

function rank(task) {
  if (task.paid) return 3;
  return { MATCHING: 2, ACCEPTED: 1 }[task.state] ?? 0;
}

/** What holds all tasks and nearly all hustlers, never narrower than a mile. */
function span(dots, tasks) {
  const sorted = [...dots].sort((a, b) => a - b);
  // A single recorded jump must not shrink everybody else to a speck.
  const cut = sorted.length > 12 ? Math.ceil(sorted.length * 0.02) : 0;
  const kept = sorted.slice(cut, sorted.length - cut).concat(tasks);
  const low = Math.min(...kept);
  const high = Math.max(...kept);
  const slack = Math.max(0.3, (high - low) * 0.04, (1 - (high - low)) / 2);
  return [low - slack, high + slack];
}
