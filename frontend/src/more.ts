/** The menu of a narrow window for what has no room in its header: each item opens what a button there opens. */

import { byId } from "./dom";
import { connectPopover, moveByArrows } from "./popover";

export function connectMore(): void {
  const menu = byId("more", HTMLElement);
  const items = (): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>("[data-opens]")];
  connectPopover(byId("more-button", HTMLButtonElement), menu, () => items()[0]?.focus());
  menu.addEventListener("keydown", (event) => moveByArrows(event, items()));
  menu.addEventListener("click", ({ target }) => {
    const id = target instanceof HTMLElement ? target.dataset["opens"] : undefined;
    if (id === undefined) return;
    menu.hidePopover();
    byId(id, HTMLButtonElement).click();
  });
}
