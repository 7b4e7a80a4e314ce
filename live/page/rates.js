// A row of figures, each with its last minute.

import { make, setText } from "./dom.js";
import { spark } from "./paint.js";
import { Series } from "./store.js";

export class Rates {
  #list;
  #figures;

  // figures are [key, label, format]; a key without a rate has no line.
  constructor(list, figures, withLine = () => true) {
    this.#list = list;
    this.#figures = figures.map(([key, label, format]) => {
      const value = make("dd", { text: "–" });
      const line = withLine(key) ? make("canvas", { "aria-hidden": "true" }) : null;
      const box = make("div", {}, make("dt", { text: label }), value, ...(line ? [line] : []));
      list.append(box);
      return { key, format, value, line, box, series: new Series() };
    });
  }

  // begin forgets what was shown.
  begin() {
    for (const f of this.#figures) {
      f.series = new Series();
      setText(f.value, "–");
    }
  }

  // show takes the values of one more moment, in ms.
  show(values, time) {
    for (const f of this.#figures) {
      const v = values[f.key];
      setText(f.value, f.format(v));
      const bad = f.key === "lost" && v > 0;
      f.box.classList.toggle("bad", bad);
      if (!f.line) continue;
      f.series.push(v, time);
      spark(f.line, f.series, 48, 30, f.key === "lost" ? "bad" : "accent");
    }
  }
}
