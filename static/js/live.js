// A live part also asks by itself: rarely while its stream works (a proxy may hold events back), every five seconds
// after three failed connections. Once nothing more will happen ("data-over") the page shows its last state whole.
const PATIENCE = 3;
const RARELY = 10000;
const OFTEN = 5000;

for (const live of document.querySelectorAll("[data-live]")) {
  const note = live.querySelector("[data-live-paused]");
  let failures = 0;
  let timer = 0;

  const every = (pause) => {
    clearInterval(timer);
    timer = setInterval(() => document.hidden || live.dispatchEvent(new Event("poll")), pause);
  };
  const fall = () => {
    failures += 1;
    if (failures !== PATIENCE) return;
    note.hidden = false;
    every(OFTEN);
  };
  const recover = () => {
    if (failures >= PATIENCE) every(RARELY);
    failures = 0;
    note.hidden = true;
  };
  // What was missed is not kept any more: begin afresh.
  live.addEventListener("reset", () => location.reload());
  live.addEventListener("htmx:sse:error", fall);
  live.addEventListener("htmx:error", fall);
  live.addEventListener("htmx:sse:after:connection", recover);
  new MutationObserver(() => live.querySelector("[data-over]") && location.reload()).observe(live, {
    attributes: true,
    childList: true,
    subtree: true,
  });
  every(RARELY);
}
