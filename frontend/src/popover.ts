/** Menus and panels that open below their button: where they go, and what the button says of them. */

const MARGIN = 8;

/** Where the button itself is put away in the menu “More”, that one's button stands for it. */
const shown = (button: HTMLElement): HTMLElement =>
  button.offsetParent ? button : (document.getElementById("more-button") ?? button);

/** Opens `menu` below `button`, whose `popovertarget` it is; `opened` is told each time. */
export function connectPopover(button: HTMLElement, menu: HTMLElement, opened?: () => void): void {
  button.setAttribute("aria-expanded", "false");
  menu.addEventListener("toggle", ({ newState }) => {
    const open = newState === "open";
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const { left, bottom } = shown(button).getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const lowest = clientHeight - menu.offsetHeight - MARGIN;
    menu.style.left = `${Math.max(MARGIN, Math.min(left, clientWidth - menu.offsetWidth - MARGIN))}px`;
    menu.style.top = `${Math.max(MARGIN, Math.min(bottom + 6, lowest))}px`;
    opened?.();
  });
}

/** Moves the focus among a menu's buttons with the arrow keys, Home and End. */
export function moveByArrows(event: KeyboardEvent, buttons: readonly HTMLElement[]): void {
  const at = buttons.findIndex((button) => button === document.activeElement);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: (at + 1) % buttons.length,
    ArrowUp: (at - 1 + buttons.length) % buttons.length,
    Home: 0,
    End: buttons.length - 1,
  };
  const target = moves[event.key];
  if (target === undefined) return;
  event.preventDefault();
  buttons[target]?.focus();
}
