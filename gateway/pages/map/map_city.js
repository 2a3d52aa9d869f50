// What the page knows of the city: CITY frames turned into moving dots, tasks, and things that
// happened. Frames carry hustlers without names, so each dot is followed from frame to frame as the
// nearest one. Places become miles east and south of the first hustler seen.

const MILES_PER_DEGREE = 69.093;
const FOLLOW_MILES = 0.35;
const STILL_MILES = 0.0008;
const LONGEST_STEP_MS = 6000;
const GONE_AFTER_MS = 1500;
export const STATES = ["live", "enroute", "working"];

export class City {
  constructor() {
    this.origin = null;
    this.dots = [];
    this.tasks = new Map();
    this.steps = [];
    this.at = 0;
  }

  place(lat, lng) {
    const scale = Math.cos((this.origin.lat * Math.PI) / 180);
    return {
      x: (lng - this.origin.lng) * scale * MILES_PER_DEGREE,
      y: (this.origin.lat - lat) * MILES_PER_DEGREE,
    };
  }

  /** The inverse of `place`. */
  degrees(spot) {
    const scale = Math.cos((this.origin.lat * Math.PI) / 180);
    return [
      this.origin.lat - spot.y / MILES_PER_DEGREE,
      this.origin.lng + spot.x / scale / MILES_PER_DEGREE,
    ];
  }

  /** Take a frame at `now` (ms); what happened since the last one, oldest first. */
  take(frame, now) {
    const first = frame.hustlers[0] ?? (frame.tasks[0] && [frame.tasks[0].lat, frame.tasks[0].lng]);
    if (!this.origin && first) this.origin = { lat: first[0], lng: first[1] };
    if (!this.origin) return [];
    const fresh = this.at === 0 || now - this.at > 10_000;
    this.at = now;
    this.follow(frame.hustlers, now, fresh);
    const happened = this.compare(frame.tasks, now);
    return fresh ? [] : happened;
  }

  // ── Hustlers

  follow(hustlers, now, fresh) {
    const free = new Set(this.dots);
    const grid = gridOf(this.dots);
    const spots = hustlers.map(([lat, lng, state]) => ({ ...this.place(lat, lng), state }));
    // Who stands still is recognised first, so that nobody passing by takes its dot.
    const moved = spots.filter((spot) => !this.renewDot(grid, free, spot, STILL_MILES, now));
    const newcomers = moved.filter((spot) => !this.renewDot(grid, free, spot, FOLLOW_MILES, now));
    const next = this.dots.filter((dot) => !free.has(dot));
    for (const dot of free) {
      dot.goneAt ??= now;
      if (now - dot.goneAt < GONE_AFTER_MS) next.push(dot);
    }
    const bornAt = fresh ? now - 2000 : now;
    this.dots = next.concat(newcomers.map((spot) => ({ ...dotAt(spot, now), bornAt })));
  }

  renewDot(grid, free, spot, within, now) {
    const dot = nearest(grid, free, spot, within);
    if (!dot) return false;
    free.delete(dot);
    this.moveDot(dot, spot, now);
    dot.state = spot.state;
    return true;
  }

  moveDot(dot, spot, now) {
    dot.goneAt = null;
    if (Math.hypot(spot.x - dot.to.x, spot.y - dot.to.y) < STILL_MILES) return;
    const shown = positionOf(dot, now);
    this.steps.push({ from: dot.to, to: spot });
    const took = Math.min(LONGEST_STEP_MS, Math.max(400, now - dot.movedAt));
    Object.assign(dot, { from: shown, to: spot, startAt: now, took, movedAt: now });
  }

  // ── Tasks

  compare(tasks, now) {
    const happened = [];
    const present = new Set();
    for (const task of tasks) {
      present.add(task.id);
      const known = this.tasks.get(task.id);
      if (known) this.renew(known, task, now, happened);
      else this.begin(task, now, happened);
    }
    for (const [id, task] of this.tasks) {
      if (!present.has(id) && !task.endedAt) this.finish(task, now, happened);
      if (task.endedAt && now - task.endedAt > 4000) this.tasks.delete(id);
    }
    return happened;
  }

  begin(task, now, happened) {
    const known = {
      ...task,
      ...this.place(task.lat, task.lng),
      bornAt: now,
      radius: task.radius_miles ?? 0,
      radiusFrom: 0,
      reaches: task.radius_miles > task.initial_radius_miles ? [task.initial_radius_miles] : [],
      radiusAt: now,
      pulses: task.state === "MATCHING" ? [now] : [],
    };
    known.hustlerSpot = task.hustler ? this.place(...task.hustler) : null;
    this.tasks.set(task.id, known);
    this.tell(known, happened);
  }

  renew(known, task, now, happened) {
    const { state: before, radius } = known;
    const notified = known.hustlers_notified ?? 0;
    Object.assign(known, task);
    known.hustlerSpot = task.hustler ? this.place(...task.hustler) : known.hustlerSpot;
    if ((task.hustlers_notified ?? 0) > notified) known.pulses.push(now);
    known.pulses = known.pulses.filter((at) => now - at < 3000).slice(-4);
    const reach = task.radius_miles ?? radius;
    if (reach > radius) {
      known.reaches.push(radius);
      Object.assign(known, { radiusFrom: radiusOf(known, now), radius: reach, radiusAt: now });
      happened.push(feedEntry("looking", known, `now reaches ${reach} miles`));
    }
    if (task.state === before) return;
    known.changedAt = now;
    this.tell(known, happened);
  }

  tell(task, happened) {
    const news = {
      MATCHING: ["looking", "is looking for somebody"],
      ACCEPTED: ["enroute", `${task.hustler_name ?? "somebody"} is on the way`],
      WORKING: ["working", "begins at the door"],
      PROOF_SUBMITTED: ["working", "is done, the poster looks"],
    }[task.state];
    if (news) happened.push(feedEntry(news[0], task, news[1]));
  }

  finish(task, now, happened) {
    task.endedAt = now;
    if (task.state === "PROOF_SUBMITTED" || task.state === "COMPLETED") {
      task.paid = true;
      happened.push(feedEntry("paid", task, `paid ${price(task)}`));
    } else if (task.state === "MATCHING" && Date.parse(task.expires_at) <= Date.now() + 1500) {
      happened.push(feedEntry("over", task, "nobody came"));
    } else {
      happened.push(feedEntry("over", task, "was called off"));
    }
  }
}

function feedEntry(kind, task, text) {
  return { kind, id: task.id, title: task.title, price: price(task), text };
}

export function price(task) {
  return `$${(task.price_cents / 100).toFixed(task.price_cents % 100 ? 2 : 0)}`;
}

function dotAt(spot, now) {
  const { state } = spot;
  return { from: spot, to: spot, startAt: now, took: 1, movedAt: now, state, goneAt: null };
}

/** Where a dot is drawn at `now`: it glides from fix to fix. */
export function positionOf(dot, now) {
  const share = Math.min(1, Math.max(0, (now - dot.startAt) / dot.took));
  return {
    x: dot.from.x + (dot.to.x - dot.from.x) * share,
    y: dot.from.y + (dot.to.y - dot.from.y) * share,
  };
}

/** The radius drawn at `now`: it swells to a new wave within a second and a half. */
export function radiusOf(task, now) {
  const share = Math.min(1, Math.max(0, (now - task.radiusAt) / 1500));
  return task.radiusFrom + (task.radius - task.radiusFrom) * (1 - (1 - share) ** 3);
}

function gridOf(dots) {
  const grid = new Map();
  for (const dot of dots) {
    const key = cell(dot.to.x, dot.to.y);
    if (!grid.has(key)) grid.set(key, []);
    grid.get(key).push(dot);
  }
  return grid;
}

function cell(x, y) {
  return `${Math.floor(x / FOLLOW_MILES)} ${Math.floor(y / FOLLOW_MILES)}`;
}

function nearest(grid, free, spot, within) {
  let best = null;
  let least = within;
  for (let dx = -1; dx <= 1; dx += 1) {
    for (let dy = -1; dy <= 1; dy += 1) {
      const near = grid.get(cell(spot.x + dx * FOLLOW_MILES, spot.y + dy * FOLLOW_MILES)) ?? [];
      for (const dot of near) {
        const apart = Math.hypot(dot.to.x - spot.x, dot.to.y - spot.y);
        if (apart < least && free.has(dot)) [best, least] = [dot, apart];
      }
    }
  }
  return best;
}
