// Losses by reason, with what the reason means and what helps.

import { keyed, make, setText } from "./dom.js";
import { count, perSecond } from "./format.js";

const what = { packet: "packets dropped", copy: "copies lost" };

// drawLosses shows [{lost, reason, total, rate}] in the box.
export function drawLosses(box, store, losses) {
  let list = box.querySelector("ul");
  if (losses.length === 0) {
    if (list || !box.firstChild) box.replaceChildren(make("p", { class: "muted", text: "Nothing was lost." }));
    return;
  }
  if (!list) {
    list = make("ul", { class: "losses" });
    box.replaceChildren(list);
  }
  const order = losses.toSorted((a, b) => b.rate - a.rate || b.total - a.total);
  keyed(list, order, (l) => l.lost + " " + l.reason, (l) => newLoss(store, l), updateLoss);
}

function newLoss(store, l) {
  const parts = { rate: make("span", { class: "bad" }), total: make("span", { class: "muted" }) };
  const item = make("li", {}, make("div", { class: "head" }, make("b", { text: l.reason }), parts.rate, parts.total));
  item.parts = parts;
  const told = store.reasons.get(l.lost + " " + l.reason);
  if (told) {
    item.append(make("details", {}, make("summary", { text: "what it means, and what helps" }),
      make("p", { text: told.meaning }), make("p", {}, make("b", { text: "Remedy: " }), told.remedy)));
  }
  return item;
}

function updateLoss(item, l) {
  item.classList.toggle("now", l.rate > 0);
  setText(item.parts.rate, l.rate > 0 ? perSecond(l.rate) : "");
  setText(item.parts.total, `${count(l.total)} ${what[l.lost]}`);
}
