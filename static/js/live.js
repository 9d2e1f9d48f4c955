// A live part falls back to polling: after three failed connections the element gets a "poll" event every five seconds.
const PATIENCE = 3;
const EVERY = 5000;

for (const live of document.querySelectorAll("[data-live]")) {
  const note = live.querySelector("[data-live-paused]");
  let failures = 0;
  let timer = 0;

  const fall = () => {
    failures += 1;
    if (failures < PATIENCE || timer) return;
    note.hidden = false;
    timer = setInterval(() => document.hidden || live.dispatchEvent(new Event("poll")), EVERY);
  };
  const recover = () => {
    failures = 0;
    note.hidden = true;
    clearInterval(timer);
    timer = 0;
  };
  live.addEventListener("htmx:sse:error", fall);
  live.addEventListener("htmx:error", fall);
  live.addEventListener("htmx:sse:after:connection", recover);
  live.addEventListener("done", recover);
}
