/** Notices that the machine slept or the network came back: open WebSockets are then not to be trusted. */

const TICK = 4_000;
/** A timer that comes this late was not late but asleep. */
const SLEPT = 15_000;

export function onWake(action: () => void): void {
  let last = Date.now();
  const check = (): void => {
    const now = Date.now();
    const slept = now - last > SLEPT;
    last = now;
    // Browsers slow timers of hidden pages down to one a minute, which is no sleep.
    if (slept && !document.hidden) action();
  };
  setInterval(check, TICK);
  document.addEventListener("visibilitychange", check);
  window.addEventListener("online", action);
}
