// A group as a fan: from its sources, through the datapath, to its subscribers.

import { keyed, makeSVG, setAttribute, setText } from "./dom.js";
import { perSecond, plural, short } from "./format.js";

const maxLeaves = 18;
const maxSources = 8;
const step = 26; // px between two leaves
const hubRadius = 24;

// draw shows a group with its details; calls with the same box change what is
// there.
export function draw(box, group, detail) {
  const svg = box.querySelector("svg") ?? box.appendChild(newFan());
  const leaves = chosen(detail.subscribers);
  const rest = detail.subscribers.length - leaves.length;
  const sources = detail.sources.slice(0, maxSources);
  const width = Math.max(460, box.clientWidth);
  const height = Math.max(200, Math.max(leaves.length + (rest > 0 ? 2 : 0), sources.length) * step + 40);
  setAttribute(svg, "viewBox", `0 0 ${width} ${height}`);
  setAttribute(svg, "aria-label", described(group, detail));

  const g = geometry(width, height);
  const layer = svg.layers;
  const spread = leaves.length + (rest > 0 ? 1.6 : 0);
  keyed(layer.sources, sources.map((s, i) => ({ ...s, ...g.source(i, sources.length) })), (s) => s.source, newSource, updateSource);
  keyed(layer.leaves, leaves.map((m, i) => ({ ...m, ...g.leaf(i, spread) })), (m) => m.interface, newLeaf, updateLeaf);
  keyed(layer.rest, rest > 0 ? [{ n: rest, ...g.leaf(leaves.length + 0.3, spread), hub: g.hub }] : [], () => "rest", newRest, updateRest);
  keyed(layer.notes, notes(sources, leaves, g), (n) => n.text, newNote, updateNote);

  setAttribute(layer.hub, "transform", `translate(${g.hub.x} ${g.hub.y})`);
  setText(layer.hubText, "×" + fanOut(detail));
}

export function clear(box) {
  box.replaceChildren();
}

// chosen are the subscribers that are drawn: those that lose copies and those
// that came last are always among them.
function chosen(all) {
  if (all.length <= maxLeaves) return all;
  const weight = (m) => (m.failure_rate > 0 ? 2e13 : 0) + Date.parse(m.joined);
  const picked = new Set(all.toSorted((a, b) => weight(b) - weight(a)).slice(0, maxLeaves).map((m) => m.interface));
  return all.filter((m) => picked.has(m.interface));
}

// fanOut is what the last packet was copied to.
function fanOut(detail) {
  const newest = detail.sources.reduce((a, b) => (a && a.last_seen > b.last_seen ? a : b), null);
  return newest ? newest.fan_out : detail.subscribers.length;
}

function geometry(width, height) {
  const middle = height / 2;
  const hub = { x: Math.round(width * 0.4), y: middle };
  const right = width - Math.max(190, width * 0.27);
  return {
    hub,
    left: Math.max(150, width * 0.19),
    right,
    source: (i, n) => ({ x: Math.max(150, width * 0.19), y: middle + (i - (n - 1) / 2) * Math.min(step * 1.4, (height - 40) / Math.max(1, n)), hub }),
    leaf: (i, n) => {
      const gap = Math.min(step * 1.6, (height - 40) / Math.max(1, n));
      const y = middle + (i - (n - 1) / 2) * gap;
      const bend = (y - middle) / (height / 2);
      return { x: right - bend * bend * 34, y, hub };
    },
  };
}

const thickness = (rate) => 1.5 + Math.min(4.5, Math.log10(1 + rate));

function newFan() {
  const svg = makeSVG("svg", { role: "img" });
  const layer = (name) => svg.appendChild(makeSVG("g", { class: name }));
  svg.layers = { rest: layer("rests"), sources: layer("sources"), leaves: layer("leaves"), notes: layer("notes") };
  svg.layers.hubText = makeSVG("text", { class: "hub-text", "text-anchor": "middle", y: 5 });
  svg.layers.hub = svg.appendChild(makeSVG("g", {}, makeSVG("circle", { class: "hub", r: hubRadius }), svg.layers.hubText));
  return svg;
}

function newSource() {
  const parts = {
    path: makeSVG("path", { class: "in" }), dot: makeSVG("circle", { r: 6, class: "source" }),
    name: makeSVG("text", { class: "mono", "text-anchor": "end" }), rate: makeSVG("text", { class: "small", "text-anchor": "end" }),
    title: makeSVG("title"),
  };
  const e = makeSVG("g", {}, parts.title, parts.path, parts.dot, parts.name, parts.rate);
  e.parts = parts;
  return e;
}

function updateSource(e, s) {
  const p = e.parts;
  const idle = !(s.packet_rate > 0);
  const bend = (s.x + s.hub.x) / 2;
  setAttribute(p.path, "d", `M${s.x} ${s.y} C${bend} ${s.y} ${bend} ${s.hub.y} ${s.hub.x - hubRadius} ${s.hub.y}`);
  setAttribute(p.path, "class", idle ? "in idle" : "in");
  setAttribute(p.path, "stroke-width", thickness(s.packet_rate ?? 0));
  place(p.dot, s, idle ? "source idle" : "source");
  setAttribute(p.name, "x", s.x - 13);
  setAttribute(p.name, "y", s.y - 1);
  setAttribute(p.rate, "x", s.x - 13);
  setAttribute(p.rate, "y", s.y + 13);
  setText(p.name, short(s.source || "other sources", 17));
  setText(p.title, s.source || "sources that are not counted apart");
  setText(p.rate, s.packet_rate === undefined ? "" : idle ? "silent" : perSecond(s.packet_rate));
}

function newLeaf(m) {
  const parts = {
    path: makeSVG("path"), dot: makeSVG("circle", { r: 5 }),
    name: makeSVG("text", { class: "mono" }), rate: makeSVG("tspan", { class: "small" }), lost: makeSVG("tspan", { class: "small bad" }),
    title: makeSVG("title"), text: makeSVG("tspan"),
  };
  parts.name.append(parts.text, parts.rate, parts.lost);
  const e = makeSVG("g", { class: Date.now() - Date.parse(m.joined) < 3000 ? "new" : "" }, parts.title, parts.path, parts.dot, parts.name);
  e.parts = parts;
  return e;
}

function updateLeaf(e, m) {
  const p = e.parts;
  const failing = m.failure_rate > 0, idle = !(m.copy_rate > 0);
  const state = failing ? " failing" : idle ? " idle" : "";
  const bend = m.hub.x + (m.x - m.hub.x) * 0.5;
  setAttribute(p.path, "d", `M${m.hub.x + hubRadius} ${m.hub.y} C${bend} ${m.hub.y} ${bend} ${m.y} ${m.x} ${m.y}`);
  setAttribute(p.path, "class", "out" + state);
  setAttribute(p.path, "stroke-width", thickness(m.copy_rate ?? 0));
  place(p.dot, m, "leaf" + state);
  setAttribute(p.name, "x", m.x + 12);
  setAttribute(p.name, "y", m.y + 4);
  setText(p.text, short(m.interface || "port", 18));
  setText(p.title, `${m.interface}, ${m.protocol}`);
  setText(p.rate, m.copy_rate === undefined ? "" : idle ? "  silent" : "  " + perSecond(m.copy_rate));
  setText(p.lost, failing ? `  lost ${perSecond(m.failure_rate)}` : "");
}

function newRest() {
  const parts = { path: makeSVG("path", { class: "rest" }), text: makeSVG("text", { class: "small" }) };
  const e = makeSVG("g", {}, parts.path, parts.text);
  e.parts = parts;
  return e;
}

function updateRest(e, r) {
  const bend = r.hub.x + (r.x - r.hub.x) * 0.5;
  const from = `${r.hub.x + hubRadius} ${r.hub.y}`;
  setAttribute(e.parts.path, "d", `M${from} C${bend} ${r.hub.y} ${bend} ${r.y - 9} ${r.x} ${r.y - 9} L${r.x} ${r.y + 9} C${bend} ${r.y + 9} ${bend} ${r.hub.y} ${from}Z`);
  setAttribute(e.parts.text, "x", r.x + 12);
  setAttribute(e.parts.text, "y", r.y + 4);
  setText(e.parts.text, `and ${plural(r.n, "other")}, listed below`);
}

function notes(sources, leaves, g) {
  const list = [];
  if (sources.length === 0) list.push({ text: "no packets yet", x: g.left + 20, y: g.hub.y + 4, anchor: "end" });
  if (leaves.length === 0) list.push({ text: "no subscribers", x: g.right, y: g.hub.y + 4, anchor: "start" });
  return list;
}

const newNote = () => makeSVG("text", { class: "small" });

function updateNote(e, n) {
  setText(e, n.text);
  setAttribute(e, "x", n.x);
  setAttribute(e, "y", n.y);
  setAttribute(e, "text-anchor", n.anchor);
}

function place(dot, at, name) {
  setAttribute(dot, "cx", at.x);
  setAttribute(dot, "cy", at.y);
  setAttribute(dot, "class", name);
}

function described(group, detail) {
  const failing = detail.subscribers.filter((m) => m.failure_rate > 0).length;
  return `Fan of ${group.name}: ${plural(detail.sources.length, "source")}, ${plural(detail.subscribers.length, "subscriber")}` +
    (failing ? `, ${failing} of them losing copies` : "");
}
