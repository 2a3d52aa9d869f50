// The story of one task or one hustler in the panel: asked for again while it is open.

import { price } from "./map_city.js";

const AGAIN_MS = 2000;
const find = (id) => document.getElementById(id);

const STATE = {
  OPEN: "waits on the list",
  MATCHING: "looking for somebody",
  ACCEPTED: "somebody is on the way",
  WORKING: "being done",
  PROOF_SUBMITTED: "done, the poster looks",
  DISPUTED: "disputed",
  COMPLETED: "done and approved",
  CANCELLED: "called off",
  EXPIRED: "nobody came in time",
};
const TONE = {
  MATCHING: "looking", ACCEPTED: "enroute", WORKING: "working", PROOF_SUBMITTED: "working",
  COMPLETED: "paid",
};
const ANSWER = { ACCEPT: "accepted", DECLINE: "declined", SKIP: "skipped" };
const PROOF = { CODE: "the completion code", PHOTOS: "photos", NONE: "a word", DECISION: "a decision" };

const dollars = (cents) => price({ price_cents: cents });
const away = (step) => (step.miles === undefined ? "" : `, ${step.miles.toFixed(1)} miles away`);
const because = (step) => (step.note ? `: ${step.note}` : "");
const offers = (count) => (count === 1 ? "1 offer" : `${count ?? 0} offers`);

// kind → [tone, what happened]
const STEP = {
  POSTED: (step) => ["", `${step.name} posts it for ${dollars(step.cents)}`],
  FUNDED: (step) => ["looking", `${dollars(step.cents)} is held, the search begins`],
  WAVE: (step) => ["looking", `reaches ${step.radius_miles} miles: ${offers(step.offers)}`],
  FIRST_CARD: () => ["looking", "the first card is on a phone"],
  DECLINED: (step) => ["", `${step.name} declines${away(step)}${because(step)}`],
  SKIPPED: (step) => ["", `${step.name} skips it${away(step)}`],
  NOBODY_CAME: () => ["over", "nobody took it; the poster chooses what next"],
  ACCEPTED: (step) => ["enroute", `${step.name} accepts${away(step)}`],
  ARRIVED: () => ["enroute", "at the door"],
  STARTED: () => ["working", "the start code is told, work begins"],
  PROOF: (step) => ["working", `handed in, with ${PROOF[step.note] ?? "proof"}`],
  REJECTED: (step) => ["over", `turned down${because(step)}`],
  DISPUTED: (step) => ["over", `disputed${because(step)}`],
  COMPLETED: () => ["paid", "approved"],
  CANCELLED: (step) => ["over", `called off${because(step)}`],
  EXPIRED: () => ["over", "over: its time has passed"],
  PAID: (step) => ["paid", `${dollars(step.cents)} is paid out`],
  REFUNDED: (step) => ["over", `${dollars(step.cents)} goes back to the poster`],
};

export class Story {
  /** @param hear {token(), opened(subject), closed()}: whose eyes, and what the map shows as chosen. */
  constructor(hear) {
    this.hear = hear;
    this.subject = null;
    find("story-close").addEventListener("click", () => this.close());
    find("panel").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  openTask(id) {
    this.open({ kind: "task", id, path: `/v1/admin/tasks/${id}/story` });
  }

  openHustler(id) {
    this.open({ kind: "hustler", id, path: `/v1/admin/users/${id}/story` });
  }

  openNearest(lat, lng) {
    const place = `lat=${lat.toFixed(5)}&lng=${lng.toFixed(5)}`;
    this.open({ kind: "hustler", id: null, path: `/v1/admin/hustlers/nearest?${place}` });
  }

  open(subject) {
    this.from ??= document.activeElement;
    this.subject = subject;
    this.shownText = "";
    this.hear.opened(subject);
    this.ask(subject, true);
  }

  close() {
    if (!this.subject) return;
    this.subject = null;
    clearTimeout(this.again);
    find("story").hidden = true;
    find("overview").hidden = false;
    this.hear.closed();
    (this.from?.isConnected ? this.from : find("map")).focus();
    this.from = null;
  }

  async ask(subject, first = false) {
    clearTimeout(this.again);
    try {
      const answer = await fetch(subject.path, {
        headers: { Authorization: `Bearer ${this.hear.token()}` },
      });
      if (subject !== this.subject) return;
      if (answer.ok) this.show(subject, await answer.json(), first);
      else if (first) this.showNothing(answer.status === 404 ? "Nobody is there any more." : "");
    } catch {
      // The line is away; the map says so, and the next try may find it back.
    }
    if (subject === this.subject) this.again = setTimeout(() => this.ask(subject), AGAIN_MS);
  }

  show(subject, story, first) {
    if (subject !== this.subject) return;
    if (subject.kind === "hustler" && !subject.id) {
      Object.assign(subject, { id: story.id, path: `/v1/admin/users/${story.id}/story` });
    }
    const text = JSON.stringify({ ...story, at: null });
    if (subject.kind === "task") this.showTask(story, text !== this.shownText);
    else this.showHustler(story, text !== this.shownText);
    this.shownText = text;
    this.reveal(first);
  }

  showNothing(why) {
    this.head("", "Gone", "", why || "The service does not tell.");
    find("story-body").replaceChildren();
    this.reveal(true);
  }

  reveal(first) {
    find("overview").hidden = true;
    find("story").hidden = false;
    if (!first) return;
    // From its beginning: on a phone the panel scrolls as a whole, and to the title by itself.
    find("panel").scrollTop = 0;
    find("story-title").focus({ preventScroll: true });
  }

  head(tone, title, about, now) {
    find("story").dataset.tone = tone;
    find("story-title").textContent = title;
    find("story-about").textContent = about;
    find("story-now").textContent = now;
  }

  // ── A task

  showTask(story, fresh) {
    const place = story.address ? `, ${story.address}` : "";
    this.head(
      TONE[story.state] ?? "over",
      story.title,
      `${price(story)}${place}. Posted by ${story.poster_name}.`,
      nowOf(story),
    );
    if (!fresh) return;
    const list = document.createElement("ol");
    list.className = "steps";
    const began = Date.parse((story.steps.find((step) => step.kind === "FUNDED") ?? story.steps[0]).at);
    list.append(...story.steps.map((step) => stepLine(step, began)));
    find("story-body").replaceChildren(list, ...this.links(story));
  }

  links(story) {
    const found = [];
    if (story.hustler_id) {
      found.push(button(`${story.hustler_name}'s day`, () => this.openHustler(story.hustler_id)));
    }
    if (story.successor_id) {
      found.push(button("The task that took over", () => this.openTask(story.successor_id)));
    }
    if (story.predecessor_id) {
      found.push(button("The task before", () => this.openTask(story.predecessor_id)));
    }
    return found;
  }

  // ── A hustler

  showHustler(story, fresh) {
    this.head(
      "live",
      story.first_name,
      `Trust tier ${story.trust_tier}, ${story.total_xp.toLocaleString("en-US")} XP.`,
      liveOf(story),
    );
    if (!fresh) return;
    const figures = document.createElement("dl");
    figures.className = "figures";
    for (const [word, value] of [
      ["cards", story.cards], ["accepted", story.accepted], ["paid", dollars(story.earned_cents)],
    ]) {
      const cell = document.createElement("div");
      cell.append(piece("dt", word), piece("dd", String(value)));
      figures.append(cell);
    }
    find("story-body").replaceChildren(
      figures,
      ...this.section("Tasks, last 24 h", story.tasks, (task) => [
        TONE[task.state] ?? "over", task.accepted_at, task.title, task.id,
        task.paid_cents ? `paid ${dollars(task.paid_cents)}` : STATE[task.state],
      ]),
      ...this.section("Cards", story.offers, (offer) => [
        offer.response === "ACCEPT" ? "enroute" : "", offer.offered_at, offer.title, offer.task_id,
        `${price(offer)}, ${offer.miles.toFixed(1)} miles, ${ANSWER[offer.response] ?? "no answer"}`,
      ]),
    );
  }

  section(title, entries, parts) {
    if (entries.length === 0) return [];
    const list = document.createElement("ol");
    list.className = "steps";
    for (const entry of entries) {
      const [tone, at, name, task, text] = parts(entry);
      const line = document.createElement("li");
      line.className = tone;
      const words = piece("span", "");
      words.append(button(name, () => this.openTask(task)), piece("em", text));
      line.append(clock(at), words);
      list.append(line);
    }
    return [piece("h3", title), list];
  }
}

function nowOf(story) {
  if (story.state !== "MATCHING" || story.radius_miles === null) return STATE[story.state];
  const reach = `Reaches ${story.radius_miles} miles`;
  if (!story.next_expansion_at) return `${reach}, as far as it goes.`;
  const left = (Date.parse(story.next_expansion_at) - Date.parse(story.at)) / 1000;
  return `${reach}, and farther in ${Math.max(1, Math.round(left))} s.`;
}

function liveOf({ live, tasks }) {
  const held = tasks.find((task) => task.state === "ACCEPTED" || task.state === "WORKING");
  if (held) return `${held.state === "ACCEPTED" ? "On the way to" : "At work on"}: ${held.title}`;
  if (live.state === "ACTIVE") return "Waits for offers.";
  if (live.state === "OFF") return "Not live.";
  return live.ends_at ? `Rests until ${timeOf(live.ends_at)}.` : "Rests.";
}

function stepLine(step, began) {
  const [tone, text] = STEP[step.kind](step);
  const line = document.createElement("li");
  line.className = tone;
  const words = piece("span", text);
  const since = (Date.parse(step.at) - began) / 1000;
  words.append(piece("em", Math.abs(since) < 0.05 ? "" : sinceText(since)));
  line.append(clock(step.at), words);
  return line;
}

function sinceText(seconds) {
  const size = Math.abs(seconds);
  const text = size < 1 ? `${Math.round(size * 1000)} ms` : `${size.toFixed(size < 10 ? 1 : 0)} s`;
  return seconds < 0 ? `${text} before the funding` : `${text} after the funding`;
}

function timeOf(at) {
  return new Date(at).toLocaleTimeString([], { hour12: false });
}

function clock(at) {
  const place = piece("time", timeOf(at));
  place.dateTime = at;
  return place;
}

function piece(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function button(text, act) {
  const made = piece("button", text);
  made.type = "button";
  made.className = "link";
  made.addEventListener("click", act);
  return made;
}
