// The stream of frames, and the details of the group that is looked at.

const again = 3000; // ms until the next try

// follow calls on.snapshot and on.tick with frames, and on.state with "live",
// "lost" or "refused", for ever.
export function follow(on) {
  const source = new EventSource("stream");
  source.addEventListener("snapshot", (e) => {
    on.state("live");
    on.snapshot(JSON.parse(e.data));
  });
  source.addEventListener("tick", (e) => on.tick(JSON.parse(e.data)));
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) {
      on.state("lost"); // the browser tries again by itself
      return;
    }
    on.state("refused");
    setTimeout(() => follow(on), again);
  });
}

// detail fetches a group, or null if it is gone or the agent is.
export async function detail(id) {
  try {
    const response = await fetch(`groups/${id}`);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
