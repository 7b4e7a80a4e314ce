// The list of groups: only the rows in sight are in the document.

import { make, setAttribute, setText } from "./dom.js";
import { inOrder, perSecond, plural } from "./format.js";
import { spark } from "./paint.js";

const rowHeight = 50;
const spare = 4; // rows above and below those in sight
const resortAfter = 2000; // ms: rows that change places all the time can't be read

const byAddress = (a, b) => inOrder(a.group, b.group) || inOrder(a.where, b.where);

export class GroupList {
  #box;
  #room = make("div", { class: "room", role: "presentation" });
  #empty = make("p", { class: "empty", text: "" });
  #rows = new Map(); // by number of the group
  #store;
  #onSelect;
  #order = [];
  #sorted = 0; // when
  #search = "";
  #sort = "address";
  #selected = 0;

  constructor(box, store, onSelect) {
    this.#box = box;
    this.#store = store;
    this.#onSelect = onSelect;
    box.append(this.#room);
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("click", (e) => {
      const row = e.target.closest(".row");
      if (row) this.#choose(row.group.id);
    });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  get selected() { return this.#selected; }
  get shown() { return this.#order.length; }
  get first() { return this.#order[0]; }

  filter(text) {
    this.#search = text.trim().toLowerCase();
    this.#arrange();
    this.#box.scrollTop = 0;
    this.draw();
  }

  sort(key) {
    this.#sort = key;
    this.#arrange();
    this.#box.scrollTop = 0;
    this.draw();
  }

  // select marks a group, without telling anybody.
  select(id, reveal = true) {
    this.#selected = id;
    if (reveal) this.#reveal();
    this.draw();
  }

  // move selects another row, so many further down.
  move(by) {
    const at = this.#order.findIndex((g) => g.id === this.#selected);
    const to = at < 0 ? (by < 0 ? this.#order.length - 1 : 0) : Math.min(Math.max(at + by, 0), this.#order.length - 1);
    if (this.#order[to]) this.#choose(this.#order[to].id);
  }

  get page() { return Math.max(1, Math.floor(this.#box.clientHeight / rowHeight) - 1); }

  // refresh shows what the last frame brought.
  refresh(now) {
    if (this.#store.listChanged || (this.#sort !== "address" && now - this.#sorted > resortAfter)) this.#arrange(now);
    this.draw();
  }

  #choose(id) {
    this.select(id);
    this.#onSelect(id);
  }

  #arrange(now = performance.now()) {
    this.#sorted = now;
    this.#store.listChanged = false;
    const words = this.#search.split(/\s+/).filter(Boolean);
    const fits = (g) => words.every((w) => g.name.toLowerCase().includes(w) || g.where.toLowerCase().includes(w));
    const key = this.#sort;
    this.#order = [...this.#store.groups.values()].filter(fits);
    this.#order.sort(key === "address" ? byAddress : (a, b) => b[key] - a[key] || byAddress(a, b));
    this.#room.style.height = this.#order.length * rowHeight + "px";
    setText(this.#empty, this.#search ? `No group fits “${this.#search}”.` : "No groups yet: nobody joined one, and nothing was sent.");
    if (this.#order.length === 0) this.#box.before(this.#empty);
    else this.#empty.remove();
  }

  #reveal() {
    const at = this.#order.findIndex((g) => g.id === this.#selected);
    if (at < 0) return;
    const top = at * rowHeight, bottom = top + rowHeight;
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    else if (bottom > this.#box.scrollTop + this.#box.clientHeight) this.#box.scrollTop = bottom - this.#box.clientHeight;
  }

  // draw puts the rows in sight into the document.
  draw() {
    const from = Math.max(0, Math.floor(this.#box.scrollTop / rowHeight) - spare);
    const to = Math.min(this.#order.length, Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / rowHeight) + spare);
    const keep = new Set();
    for (let i = from; i < to; i++) keep.add(this.#order[i].id);
    const free = [];
    for (const [id, row] of this.#rows) {
      if (keep.has(id)) continue;
      this.#rows.delete(id);
      free.push(row);
    }
    let active = "";
    for (let i = from; i < to; i++) {
      const group = this.#order[i];
      let row = this.#rows.get(group.id);
      if (!row) {
        row = free.pop() ?? this.#newRow();
        this.#rows.set(group.id, row);
      }
      this.#fill(row, group, i);
      if (group.id === this.#selected) active = row.id;
    }
    for (const row of free) row.remove();
    if (active) setAttribute(this.#box, "aria-activedescendant", active);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  #newRow() {
    const row = make("div", { class: "row", role: "option" });
    row.parts = {
      name: make("span", { class: "name" }), where: make("span", { class: "where" }),
      spark: make("canvas", { "aria-hidden": "true" }), rate: make("span", { class: "rate" }), fan: make("span", { class: "fan-out" }),
    };
    row.append(...Object.values(row.parts));
    this.#room.append(row);
    return row;
  }

  #fill(row, group, place) {
    const selected = group.id === this.#selected;
    const shown = [group.id, place, this.#order.length, selected, this.#store.frames].join();
    if (row.shown === shown) return; // scrolling fills only what comes into sight
    row.shown = shown;
    row.group = group;
    const p = row.parts;
    setAttribute(row, "id", "group-" + group.id);
    setAttribute(row, "aria-posinset", place + 1);
    setAttribute(row, "aria-setsize", this.#order.length);
    setAttribute(row, "aria-selected", selected);
    const top = `translateY(${place * rowHeight}px)`;
    if (row.style.transform !== top) row.style.transform = top;
    setText(p.name, group.name);
    setText(p.where, group.where);
    setText(p.rate, perSecond(group.packet_rate));
    const lost = group.lost > 0;
    setText(p.fan, lost ? `lost ${perSecond(group.lost)}` : `${group.sources} → ${group.subscribers}`);
    p.fan.classList.toggle("bad", lost);
    spark(p.spark, group.series, 64, 30, lost ? "bad" : "accent");
    setAttribute(row, "aria-label", `${group.name}, ${group.where}, ${plural(group.sources, "source")}, ${plural(group.subscribers, "subscriber")}` +
      (lost ? `, lost ${perSecond(group.lost)}` : ""));
  }
}
