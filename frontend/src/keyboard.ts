/** Notices a keyboard on the screen, which leaves so little of a phone that only the text gets any. */

/** Bars of the browser come and go as well, and take less. */
const TAKEN = 150;

export function watchKeyboard(): void {
  const viewport = window.visualViewport;
  if (!viewport || !matchMedia("(pointer: coarse)").matches) return;
  const heights = new Map<number, number>();
  const update = (): void => {
    // Turned, a phone has another height; zoomed in, it shows less of the page for another reason.
    const { width, height, scale } = viewport;
    if (scale > 1.1) return;
    const tallest = Math.max(heights.get(Math.round(width)) ?? 0, height);
    heights.set(Math.round(width), tallest);
    if (tallest - height > TAKEN) document.body.dataset["keyboard"] = "up";
    else delete document.body.dataset["keyboard"];
  };
  viewport.addEventListener("resize", update);
  update();
}
