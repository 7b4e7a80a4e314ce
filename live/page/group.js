// The group that is looked at: rates, fan, subscribers, losses.

import { keyed, make, setAttribute, setText } from "./dom.js";
import * as fan from "./fan.js";
import { bits, count, inOrder, lasted, perSecond, plural } from "./format.js";
import { drawLosses } from "./losses.js";
import { Rates } from "./rates.js";
import { detail as fetchDetail } from "./stream.js";

const fewRows = 25;
const window = 900; // ms over which rates are measured, at least

const columns = [
  ["Port", (m) => m.interface, "mono long"],
  ["Hosts", (m) => m.hosts.join(", "), "mono long"],
  ["Protocol", (m) => m.protocol],
  ["Wants", wants, "long"],
  ["Copies", (m) => (m.copy_rate === undefined ? "–" : perSecond(m.copy_rate)), "number"],
  ["Lost", (m) => (m.failed > 0 ? count(m.failed) : ""), "number bad"],
  ["Since", (m, now) => lasted((now - Date.parse(m.joined)) / 1000), "number"],
];

function wants(m) {
  if (!m.sources?.length) return m.filter_mode === "include" ? "nothing" : "any source";
  return (m.filter_mode === "include" ? "only " : "all but ") + m.sources.join(", ");
}

export class GroupPanel {
  #store;
  #at = (id) => document.getElementById(id);
  #rates = new Rates(this.#at("group-rates"), [
    ["packet_rate", "Packets", perSecond], ["bit_rate", "Bits", bits], ["copy_rate", "Copies", perSecond], ["lost", "Lost", perSecond],
  ]);
  #id = 0;
  #detail = null;
  #past = []; // details of the last second, the oldest first
  #asking = false;
  #all = false; // rows of the table

  constructor(store) {
    this.#store = store;
  }

  // show changes to another group; 0: none.
  show(id) {
    if (id === this.#id) return;
    this.#id = id;
    this.#detail = null;
    this.#past = [];
    this.#all = false;
    this.#rates.begin();
    fan.clear(this.#at("fan"));
    this.#at("subscribers").replaceChildren();
    this.#at("subscribers").keyedElements = undefined;
    this.refresh();
  }

  // refresh shows what the last frame brought, and asks for the details.
  async refresh() {
    const group = this.#store.groups.get(this.#id);
    this.#title(group);
    if (!group) return;
    if (this.#store.seconds > 0) this.#rates.show(group, this.#store.time);
    if (this.#asking) return;
    this.#asking = true;
    const id = this.#id;
    const fresh = await fetchDetail(id);
    this.#asking = false;
    if (id !== this.#id) return this.refresh();
    if (!fresh) return;
    if (fresh.time === this.#detail?.time) return;
    while (this.#past.length > 1 && Date.parse(fresh.time) - Date.parse(this.#past[1].time) >= window) this.#past.shift();
    this.#detail = withRates(fresh, this.#past[0]);
    this.#past.push(fresh);
    requestAnimationFrame(() => this.#draw());
  }

  #title(group) {
    const title = this.#at("group-title");
    title.classList.toggle("none", !group);
    setText(title, group ? group.name : this.#id ? "This group is gone" : "No group chosen");
    setText(this.#at("group-where"), group ? group.where : "");
    if (group) return;
    fan.clear(this.#at("fan"));
    for (const id of ["subscribers", "group-losses"]) {
      this.#at(id).replaceChildren();
      this.#at(id).keyedElements = undefined;
    }
  }

  #draw() {
    const group = this.#store.groups.get(this.#id);
    if (!group || !this.#detail) return;
    fan.draw(this.#at("fan"), group, this.#detail);
    this.#table(this.#detail.subscribers);
    drawLosses(this.#at("group-losses"), this.#store, lossesOf(this.#detail));
  }

  #table(all) {
    const box = this.#at("subscribers");
    if (all.length === 0) {
      box.replaceChildren(make("p", { class: "muted", text: "Nobody joined." }));
      return;
    }
    let table = box.querySelector("table");
    if (!table) {
      table = make("table", {}, make("thead", {}, make("tr", {}, ...columns.map(([name, , kind]) => make("th", { text: name, scope: "col", class: kind?.includes("number") ? "number" : "" })))), make("tbody"));
      box.replaceChildren(table);
    }
    const rows = this.#all ? all : all.slice(0, fewRows);
    keyed(table.tBodies[0], rows, (m) => m.interface, newRow, (row, m) => updateRow(row, m, this.#store.time));
    let more = box.querySelector("button");
    if (all.length <= fewRows) return more?.remove();
    if (!more) {
      more = box.appendChild(make("button", { type: "button" }));
      more.addEventListener("click", () => {
        this.#all = !this.#all;
        this.#draw();
      });
    }
    setText(more, this.#all ? "Show fewer" : `Show all ${plural(all.length, "subscriber")}`);
  }
}

const newRow = () => make("tr", {}, ...columns.map(([, , kind]) => make("td", { class: kind ?? "" })));

function updateRow(row, m, now) {
  columns.forEach(([, text, kind], i) => {
    const value = text(m, now);
    setText(row.cells[i], value);
    if (kind?.includes("long")) setAttribute(row.cells[i], "title", value);
  });
}

// withRates adds rates to the amounts of a group, by those of a moment before.
function withRates(now, before) {
  now.subscribers.sort((a, b) => inOrder(a.interface, b.interface));
  const failed = Map.groupBy(now.failures, (f) => f.interface);
  for (const m of now.subscribers) m.failed = (failed.get(m.interface) ?? []).reduce((sum, f) => sum + f.packets, 0);
  const seconds = before ? (Date.parse(now.time) - Date.parse(before.time)) / 1000 : 0;
  if (seconds <= 0) return now;
  // What was not there a moment before had counted nothing, but for copies: a
  // member that comes back continues its count.
  addRates(now.sources, before.sources, (s) => s.source, seconds, { packet_rate: "packets" }, 0);
  addRates(now.subscribers, before.subscribers, (m) => m.interface, seconds, { failure_rate: "failed" }, 0);
  addRates(now.subscribers, before.subscribers, (m) => m.interface, seconds, { copy_rate: "copies" }, undefined);
  for (const name of ["drops", "failures"]) {
    addRates(now[name], before[name], (l) => l.reason + " " + (l.interface ?? ""), seconds, { rate: "packets" }, 0);
  }
  return now;
}

// addRates sets a rate for each amount. Things that policy makes look alike have
// none.
function addRates(now, before, keyOf, seconds, rates, unseen) {
  const past = new Map();
  for (const x of before) past.set(keyOf(x), past.has(keyOf(x)) ? null : x);
  for (const x of now) {
    const was = past.get(keyOf(x));
    for (const [rate, amount] of Object.entries(rates)) {
      const from = was === undefined ? unseen : was?.[amount];
      x[rate] = from === undefined ? undefined : Math.max(0, x[amount] - from) / seconds;
    }
  }
}

// lossesOf adds up a group's losses by reason.
function lossesOf(detail) {
  const sum = new Map();
  const add = (lost, l) => {
    const key = lost + " " + l.reason;
    const had = sum.get(key) ?? { lost, reason: l.reason, total: 0, rate: 0 };
    sum.set(key, { ...had, total: had.total + l.packets, rate: had.rate + (l.rate ?? 0) });
  };
  for (const l of detail.drops) add("packet", l);
  for (const l of detail.failures) add("copy", l);
  return [...sum.values()];
}
