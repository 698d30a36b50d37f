/** The line between code and output, to be dragged or moved with the arrow keys. */

import { byId } from "./dom";
import { asNumber, type Store } from "./lib/storage";

const STEP = 2;
const SMALLEST = 20;
const LARGEST = 80;
const USUAL = 55;

export function connectSplitter(store: Store): void {
  const splitter = byId("splitter", HTMLElement);
  const panes = byId("panes", HTMLElement);
  let share = store.get("split", asNumber) ?? USUAL;

  const apply = (wanted: number): void => {
    share = Math.min(LARGEST, Math.max(SMALLEST, wanted));
    panes.style.setProperty("--split", `${share}%`);
    splitter.setAttribute("aria-valuenow", String(Math.round(share)));
  };
  const keep = (): void => void store.set("split", share);

  splitter.addEventListener("pointerdown", (event) => {
    splitter.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  splitter.addEventListener("pointermove", (event) => {
    if (!splitter.hasPointerCapture(event.pointerId)) return;
    const { left, width } = panes.getBoundingClientRect();
    apply(((event.clientX - left) / width) * 100);
  });
  splitter.addEventListener("lostpointercapture", keep);
  splitter.addEventListener("dblclick", () => {
    apply(USUAL);
    keep();
  });
  splitter.addEventListener("keydown", (event) => {
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: share - STEP,
      ArrowRight: share + STEP,
      Home: SMALLEST,
      End: LARGEST,
    };
    const target = moves[event.key];
    if (target === undefined) return;
    event.preventDefault();
    apply(target);
    keep();
  });
  apply(share);
}
