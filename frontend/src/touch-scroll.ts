/** Scrolls the terminal with a finger, which xterm.js leaves to its users. */

export function scrollByTouch(host: HTMLElement, scroll: (lines: number) => void, lineHeight: () => number): void {
  let last: number | undefined;
  let rest = 0;
  host.addEventListener(
    "touchstart",
    (event) => {
      last = event.touches.length === 1 ? event.touches[0]?.clientY : undefined;
      rest = 0;
    },
    { passive: true },
  );
  host.addEventListener(
    "touchmove",
    (event) => {
      const now = event.touches[0]?.clientY;
      if (last === undefined || now === undefined) return;
      rest += (last - now) / lineHeight();
      last = now;
      const lines = Math.trunc(rest);
      rest -= lines;
      if (lines !== 0) scroll(lines);
    },
    { passive: true },
  );
}
