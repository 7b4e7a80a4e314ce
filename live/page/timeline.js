// Who joined and left, and what else happened.

import { keyed, make, setAttribute } from "./dom.js";
import { clock, count, short } from "./format.js";
import { strip } from "./paint.js";

const maxShown = 60;
const span = 300; // seconds of the strip
const binSeconds = 3;

export class Timeline {
  #list = document.getElementById("changes");
  #strip = document.getElementById("strip");
  #only = document.getElementById("only-group");
  #store;
  #onGroup;
  #group = null;
  #drawn = "";

  // onGroup is called with the place of a group that was clicked.
  constructor(store, onGroup) {
    this.#store = store;
    this.#onGroup = onGroup;
    this.#only.addEventListener("change", () => this.refresh());
  }

  // look makes "this group only" mean another group.
  look(group) {
    this.#group = group;
    if (this.#only.checked) this.refresh();
  }

  refresh() {
    const changes = this.#store.changes.filter((c) => !this.#only.checked || (this.#group && isOf(c, this.#group)));
    this.#drawStrip(changes);
    const shown = changes.slice(0, maxShown);
    const state = shown.length + " " + (shown[0]?.number ?? "") + " " + (shown.at(-1)?.number ?? "");
    if (state === this.#drawn) return;
    this.#drawn = state;
    keyed(this.#list, shown, (c) => c.number, (c) => this.#entry(c), () => {});
  }

  #entry(c) {
    const text = make("span", { class: "text" });
    if (c.group) {
      const button = make("button", { type: "button", text: c.group });
      button.addEventListener("click", () => this.#onGroup(placeOf(c)));
      text.append(button, " ");
    }
    text.append(make("span", { class: c.group ? "muted" : "", text: rest(c) }));
    return make("li", { title: c.host ?? c.source ?? "" }, make("time", { text: clock(c.at), datetime: c.time }), make("span", { class: "what " + c.action, text: word(c) }), text);
  }

  #drawStrip(changes) {
    const bins = Array.from({ length: span / binSeconds }, () => ({ joined: 0, gone: 0, other: 0 }));
    let joined = 0, gone = 0;
    for (const c of changes) {
      const age = (this.#store.time - c.at) / 1000;
      if (age >= span) break; // the rest is older
      const bin = bins[bins.length - 1 - Math.max(0, Math.floor(age / binSeconds))];
      if (c.kind === "membership" && c.action === "joined") bin.joined++, joined++;
      else if (c.kind === "membership" && (c.action === "left" || c.action === "expired")) bin.gone++, gone++;
      else if (c.kind === "querier" || c.kind === "loss" || c.action === "refused") bin.other++;
    }
    strip(this.#strip, bins, this.#store.time, span);
    setAttribute(this.#strip, "aria-label", `The last five minutes: ${count(joined)} joined, ${count(gone)} left or expired`);
  }
}

const placeOf = (c) => ({ group: c.group, domain: c.domain ?? "", vlan: vlanOf(c) });
const vlanOf = (c) => [c.vlan, c.inner_vlan].filter(Boolean).join(".");
const isOf = (c, g) => c.group === g.group && (c.domain ?? "") === g.domain && vlanOf(c) === g.vlan;

function word(c) {
  if (c.kind === "replication") return "first";
  if (c.kind === "loss") return "lost";
  return c.action.replace("_", " ");
}

// rest is what an entry says besides its group.
function rest(c) {
  switch (c.kind) {
    case "membership":
      return [brief(c.host), c.interface && "at " + c.interface, c.protocol, c.reason].filter(Boolean).join(" ");
    case "replication":
      return ["packet from", brief(c.source) ?? "a source", c.interface && "at " + c.interface].filter(Boolean).join(" ");
    case "querier":
      return ["querier", brief(c.querier), c.interface && "at " + c.interface, c.reason].filter(Boolean).join(" ");
    case "missing":
      return `${count(c.missing)} changes that are not kept`;
    default:
      return `${count(c.lost_events ?? 0)} events lost (${c.action}, ${c.reason})`;
  }
}

const brief = (name) => name && short(name, 20);

// said tells a change in a sentence, for people who do not see it.
export const said = (c) => `${c.group ?? "querier"} ${word(c)} ${rest(c)}`;
