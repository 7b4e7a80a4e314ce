// How figures are written.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const collator = new Intl.Collator("en", { numeric: true });
const clockFormat = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function scaled(n, steps) {
  for (const [size, unit] of steps) {
    if (n >= size) return (n / size >= 100 ? whole : tenth).format(n / size) + " " + unit;
  }
  return null;
}

// count writes a number, shortened from 100,000 on.
export function count(n) {
  if (n < 1000 && n % 1 === 0) return String(n);
  if (n < 10 && n % 1 !== 0) return tenth.format(n);
  if (n < 1e5) return whole.format(n);
  return scaled(n, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]);
}

export const perSecond = (n) => count(n) + "/s";

export const bits = (n) => scaled(n, [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"]]) ?? whole.format(n) + " bit/s";

export const clock = (time) => clockFormat.format(time);

// lasted writes a length of time in its largest unit.
export function lasted(seconds) {
  if (seconds < 90) return whole.format(Math.max(0, seconds)) + " s";
  if (seconds < 5400) return whole.format(seconds / 60) + " min";
  if (seconds < 129600) return whole.format(seconds / 3600) + " h";
  return whole.format(seconds / 86400) + " d";
}

// short cuts a long text in its middle: pseudonyms differ at the end.
export function short(text, most) {
  if (text.length <= most) return text;
  const tail = Math.floor((most - 1) / 2);
  return text.slice(0, most - 1 - tail) + "…" + text.slice(-tail);
}

// inOrder compares names as people do: p2 is before p10.
export const inOrder = (a, b) => collator.compare(a, b);

export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
