// What the stream told: groups with their rates, losses, and changes.

// Series is the last values of something.
export class Series {
  capacity = 120; // a minute
  length = 0;
  #values = new Float64Array(this.capacity);
  #next = 0;
  #time = 0;

  // push adds the value of a moment, in ms. One that follows sooner than usual,
  // because there was a change, takes the place of the last one.
  push(v, time) {
    if (time - this.#time < 400 && this.length > 0) this.#next = (this.#next + this.capacity - 1) % this.capacity;
    else this.length = Math.min(this.length + 1, this.capacity);
    if (time - this.#time >= 400) this.#time = time;
    this.#values[this.#next] = v;
    this.#next = (this.#next + 1) % this.capacity;
  }

  // at returns the i-th value, the oldest first.
  at(i) {
    return this.#values[(this.#next - this.length + i + this.capacity) % this.capacity];
  }

  most() {
    let most = 0;
    for (let i = 0; i < this.length; i++) most = Math.max(most, this.#values[i]);
    return most;
  }
}

const maxChanges = 500;

export class Store {
  groups = new Map(); // by number
  losses = [];
  reasons = new Map(); // explanations, by lost and reason
  changes = []; // newest first
  totals = {};
  series = { packet_rate: new Series(), bit_rate: new Series(), copy_rate: new Series(), lost: new Series() };
  time = 0;
  frames = 0; // so far
  seconds = 0; // over which rates were measured
  version = "";
  error = "";
  listChanged = true; // since somebody set it to false: which groups there are
  #changesSeen = 0;

  // snapshot begins anew.
  snapshot(frame) {
    this.groups.clear();
    this.changes = [];
    this.version = frame.version;
    this.reasons = new Map(frame.reasons.map((r) => [r.lost + " " + r.reason, r]));
    this.listChanged = true;
    this.apply(frame);
  }

  // apply takes in what changed, and returns the new changes, oldest first.
  apply(frame) {
    this.frames++;
    this.time = Date.parse(frame.time);
    this.error = frame.error ?? "";
    for (const row of frame.groups) this.#update(row);
    for (const id of frame.gone ?? []) {
      this.groups.delete(id);
      this.listChanged = true;
    }
    const told = frame.changes ?? [];
    if (frame.missing_changes > 0) told.unshift({ kind: "missing", action: "skipped", time: frame.time, missing: frame.missing_changes });
    const fresh = told.map((c) => ({ ...c, number: this.#changesSeen++, at: Date.parse(c.time) }));
    this.changes = fresh.toReversed().concat(this.changes).slice(0, maxChanges);
    if (this.error) return fresh;
    this.losses = frame.losses;
    this.seconds = frame.seconds;
    this.#sum();
    return fresh;
  }

  #update(row) {
    let group = this.groups.get(row.id);
    if (!group) {
      group = { domain: "", vlan: "", group: "", series: new Series() };
      this.groups.set(row.id, group);
      this.listChanged = true;
    }
    Object.assign(group, row);
    group.lost = row.drop_rate + row.failure_rate;
    group.name = group.group || "all that had no room";
    group.where = [group.domain, group.vlan && "vlan " + group.vlan].filter(Boolean).join(" · ");
  }

  #sum() {
    const t = { groups: this.groups.size, subscribers: 0, packet_rate: 0, bit_rate: 0, copy_rate: 0, lost: 0 };
    for (const g of this.groups.values()) {
      t.subscribers += g.subscribers;
      t.packet_rate += g.packet_rate;
      t.bit_rate += g.bit_rate;
      t.copy_rate += g.copy_rate;
      t.lost += g.lost;
      if (this.seconds > 0) g.series.push(g.packet_rate, this.time);
    }
    this.totals = t;
    if (this.seconds === 0) return;
    for (const [name, series] of Object.entries(this.series)) series.push(t[name], this.time);
  }

  // find returns the first group that fits a place of a link.
  find({ group, domain, vlan }) {
    for (const g of this.groups.values()) {
      if (g.group === group && (domain === null || g.domain === domain) && (vlan === null || g.vlan === vlan)) return g;
    }
    return undefined;
  }
}
