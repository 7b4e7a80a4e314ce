// The live page: frames come in by stream.js, store.js keeps them, and each part
// of the page shows its share at the next repaint.

import { setText } from "./dom.js";
import { bits, count, perSecond, plural } from "./format.js";
import { GroupPanel } from "./group.js";
import { GroupList } from "./list.js";
import { drawLosses } from "./losses.js";
import { Rates } from "./rates.js";
import { Store } from "./store.js";
import { follow } from "./stream.js";
import { said, Timeline } from "./timeline.js";

const at = (id) => document.getElementById(id);
const store = new Store();
const list = new GroupList(at("groups"), store, (id) => look(store.groups.get(id)));
const panel = new GroupPanel(store);
const timeline = new Timeline(store, (place) => {
  const group = store.find(place);
  if (!group) return say(`${place.group} is gone`);
  list.select(group.id);
  look(group);
});
const totals = new Rates(at("totals"), [
  ["groups", "Groups", count], ["subscribers", "Subscribers", count], ["packet_rate", "Packets in", perSecond],
  ["bit_rate", "Bits in", bits], ["copy_rate", "Copies out", perSecond], ["lost", "Lost", perSecond],
], (key) => key !== "groups" && key !== "subscribers");

// The group that is looked at, as the address of the page has it.

function look(group) {
  const place = new URLSearchParams({ group: group.group, domain: group.domain });
  if (group.vlan) place.set("vlan", group.vlan);
  history.replaceState(null, "", "#" + place);
  panel.show(group.id);
  timeline.look(group);
}

function linked() {
  const place = new URLSearchParams(location.hash.slice(1));
  if (!place.has("group")) return undefined;
  return { group: place.get("group"), domain: place.get("domain"), vlan: place.get("vlan") };
}

// choose selects the group of the link, as soon as there is one; without a link
// the busiest.
function choose() {
  if (store.groups.has(list.selected)) return;
  const place = linked();
  const group = place ? store.find(place) : [...store.groups.values()].sort((a, b) => b.copy_rate - a.copy_rate || b.subscribers - a.subscribers)[0];
  if (!group) {
    if (place) setText(at("group-title"), `${place.group} is not there (yet)`);
    return;
  }
  if (!place && store.seconds === 0) return; // the rates come with the next frame
  list.select(group.id);
  look(group);
}

addEventListener("hashchange", () => {
  const group = linked() && store.find(linked());
  if (!group) return;
  list.select(group.id);
  look(group);
});

// Frames.

let drawing = false;

function show() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame((now) => {
    drawing = false;
    list.refresh(now);
    const few = list.shown < store.groups.size;
    setText(at("groups-count"), few ? `${count(list.shown)} of ${count(store.groups.size)}` : count(store.groups.size));
    if (store.seconds > 0) totals.show(store.totals, store.time);
    drawLosses(at("losses"), store, store.losses);
    timeline.refresh();
    choose();
    panel.refresh();
  });
}

follow({
  snapshot(frame) {
    store.snapshot(frame);
    at("connection").title = "fanlight " + store.version;
    panel.show(0);
    list.select(0, false);
    show();
  },
  tick(frame) {
    announce(store.apply(frame));
    state("live");
    show();
  },
  state,
});

function state(now) {
  const words = { live: "live", lost: "connection lost, trying again", refused: "too many pages are open, trying again" };
  if (now === "live" && store.error) {
    now = "lost";
    words.lost = store.error;
  }
  at("connection").dataset.state = now === "refused" ? "lost" : now;
  setText(at("connection"), words[now]);
}

// What screen readers say: changes of the group that is looked at, not often.

const quiet = 4000; // ms between two sentences
let spoke = -quiet, unsaid = [];

function announce(changes) {
  const group = store.groups.get(list.selected);
  if (group) unsaid.push(...changes.filter((c) => c.group === group.group));
  const now = performance.now();
  if (unsaid.length === 0 || now - spoke < quiet) return;
  spoke = now;
  say(unsaid.length === 1 ? said(unsaid[0]) : `${plural(unsaid.length, "change")} of ${group.name}, last: ${said(unsaid.at(-1))}`);
  unsaid = [];
}

function say(text) {
  setText(at("said"), text);
}

// Tools and keys.

at("search").addEventListener("input", (e) => {
  list.filter(e.target.value);
  say(plural(list.shown, "group"));
  show();
});
at("sort").addEventListener("change", (e) => list.sort(e.target.value));

at("search").addEventListener("keydown", (e) => {
  if (e.key === "Enter" || e.key === "ArrowDown") {
    e.preventDefault();
    at("groups").focus();
    if (!store.groups.has(list.selected) || e.key === "Enter") list.move(-Infinity);
  } else if (e.key === "Escape") {
    e.preventDefault();
    e.target.value = "";
    list.filter("");
    show();
    at("groups").focus();
  }
});

at("groups").addEventListener("keydown", (e) => {
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: list.page, PageUp: -list.page, Home: -Infinity, End: Infinity };
  if (e.key in moves) {
    e.preventDefault();
    list.move(moves[e.key]);
  } else if (e.key === "Enter") {
    e.preventDefault();
    at("group-title").focus();
  }
});

addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const typing = e.target.matches("input[type=search], select");
  if (e.key === "/" && !typing) {
    e.preventDefault();
    at("search").focus();
    at("search").select();
  } else if (e.key === "Escape" && !typing && !at("groups").contains(e.target)) {
    at("groups").focus();
  }
});
