// Drawing on canvases: sparklines, and the strip of joins and leaves.

const palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["accent", "accent-soft", "source", "bad", "muted", "line"]) palette[name] = style.getPropertyValue("--" + name).trim();
}
readPalette();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readPalette);

// surface returns a cleared context, in CSS pixels.
function surface(canvas, width, height) {
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const c = canvas.getContext("2d");
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, width, height);
  return c;
}

// spark draws a series, the newest value at the right edge.
export function spark(canvas, series, width, height, color = "accent") {
  const c = surface(canvas, width, height);
  const n = series.length;
  if (n < 2) return;
  const most = Math.max(series.most(), 1e-9);
  const step = width / (series.capacity - 1);
  const y = (v) => height - 1.5 - (v / most) * (height - 4);
  c.beginPath();
  for (let i = 0; i < n; i++) c.lineTo(width - (n - 1 - i) * step, y(series.at(i)));
  c.strokeStyle = palette[color];
  c.lineWidth = 1.5;
  c.lineJoin = "round";
  c.stroke();
  c.lineTo(width, height);
  c.lineTo(width - (n - 1) * step, height);
  c.globalAlpha = 0.13;
  c.fillStyle = palette[color];
  c.fill();
  c.globalAlpha = 1;
}

// strip draws how many joined (up) and left (down) in each of the last moments.
export function strip(canvas, bins, now, span) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const c = surface(canvas, width, height);
  const foot = 12, middle = (height - foot) / 2;
  c.fillStyle = palette.line;
  c.fillRect(0, middle - 0.5, width, 1);
  c.font = "10px system-ui, sans-serif";
  c.fillStyle = palette.muted;
  for (let minute = 0; minute <= span / 60; minute++) {
    const x = width - (minute * 60 / span) * width;
    c.fillRect(Math.min(x, width - 1), middle - 3, 1, 6);
    c.textAlign = minute === 0 ? "right" : x < 20 ? "left" : "center";
    c.fillText(minute === 0 ? "now" : `−${minute} min`, Math.max(0, x), height - 1);
  }
  const most = Math.max(1, ...bins.map((b) => Math.max(b.joined, b.gone)));
  const wide = width / bins.length;
  const tall = (n) => n === 0 ? 0 : Math.max(3, (Math.log1p(n) / Math.log1p(most)) * (middle - 2));
  bins.forEach((b, i) => {
    c.fillStyle = palette.accent;
    c.fillRect(i * wide + 0.5, middle - tall(b.joined), Math.max(1.5, wide - 1), tall(b.joined));
    c.fillStyle = palette.source;
    c.fillRect(i * wide + 0.5, middle + 1, Math.max(1.5, wide - 1), tall(b.gone));
    if (b.other > 0) {
      c.fillStyle = palette.bad;
      c.beginPath();
      c.arc((i + 0.5) * wide, middle, 2.6, 0, 7);
      c.fill();
    }
  });
}
