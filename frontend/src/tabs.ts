/**
 * The row of files: a tab list by the book, with one stop for the Tab key and arrows within.
 *
 * A tab is dragged to its place, or moved with Shift and an arrow; the first one is the program's main file. Its ×
 * is for pointers alone, and no part of the list for screen readers, which have Delete.
 */

import { byId, textElement } from "./dom";

export interface TabEvents {
  select(index: number): void;
  rename(index: number): void;
  remove(index: number): void;
  move(from: number, to: number): void;
}

const SVG = "http://www.w3.org/2000/svg";
/** In pixels: less is a click by an unsteady hand. */
const DRAGGED = 6;
const coarse = matchMedia("(pointer: coarse)");

function drawing(size: number, path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("width", String(size));
  svg.setAttribute("height", String(size));
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export class Tabs {
  readonly #list = byId("tabs", HTMLElement);
  readonly #panel = byId("editor", HTMLElement);
  readonly #events: TabEvents;
  #active = 0;
  #names: readonly string[] = [];
  #dropped = false;
  #drag: { readonly from: number; readonly x: number; moved: boolean } | undefined;

  constructor(events: TabEvents) {
    this.#events = events;
    this.#list.addEventListener("click", (event) => this.#click(event));
    this.#list.addEventListener("dblclick", (event) => {
      const index = this.#indexOf(event.target);
      if (index !== undefined && !this.#isClose(event.target)) events.rename(index);
    });
    this.#list.addEventListener("auxclick", (event) => {
      const index = this.#indexOf(event.target);
      if (event.button === 1 && index !== undefined) events.remove(index);
    });
    this.#list.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#list.addEventListener("wheel", (event) => this.#scroll(event), { passive: true });
    this.#list.addEventListener("scroll", () => this.#showMore(), { passive: true });
    new ResizeObserver(() => this.#showMore()).observe(this.#list);
    this.#list.addEventListener("pointerdown", (event) => this.#startDrag(event));
    this.#list.addEventListener("pointermove", (event) => this.#goOnDragging(event));
    this.#list.addEventListener("pointerup", (event) => this.#drop(event));
    this.#list.addEventListener("pointercancel", () => this.#endDrag());
  }

  show(names: readonly string[], active: number): void {
    const focused = this.#list.contains(document.activeElement);
    this.#active = active;
    // What stays is not made anew: the second half of a double click would meet another element.
    if (names.join("\n") !== this.#names.join("\n")) {
      this.#list.replaceChildren(...names.map((name, i) => this.#tab(name, i, names.length)));
      this.#names = [...names];
    }
    for (const [i, frame] of [...this.#list.children].entries()) this.#select(frame, i === active);
    this.#panel.setAttribute("aria-labelledby", `tab-${active}`);
    const current = this.#list.querySelector<HTMLElement>(`#tab-${active}`);
    if (focused) current?.focus();
    this.#list.children[active]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#showMore();
  }

  /** Tells by a shadow at which side there are more than fit. */
  #showMore(): void {
    const { scrollLeft, clientWidth, scrollWidth } = this.#list;
    this.#list.classList.toggle("more-before", scrollLeft > 1);
    this.#list.classList.toggle("more-after", scrollLeft + clientWidth < scrollWidth - 1);
  }

  #tab(name: string, index: number, count: number): HTMLElement {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "tab";
    tab.id = `tab-${index}`;
    tab.role = "tab";
    tab.title = "Double-click or F2 to rename";
    tab.setAttribute("aria-controls", this.#panel.id);
    if (index === 0 && count > 1) {
      tab.append(drawing(9, "M1 0.5v8l7-4z"));
      tab.title = "The main file: the one that runs. Double-click or F2 to rename";
      tab.setAttribute("aria-label", `${name}, the main file`);
    }
    tab.append(textElement("span", name));
    const frame = document.createElement("div");
    frame.className = "tab-frame";
    frame.role = "presentation";
    frame.append(tab);
    if (count > 1) frame.append(this.#close(name));
    return frame;
  }

  #select(frame: Element, selected: boolean): void {
    frame.classList.toggle("selected", selected);
    const tab = frame.querySelector<HTMLElement>(".tab");
    if (!tab) return;
    tab.tabIndex = selected ? 0 : -1;
    tab.setAttribute("aria-selected", String(selected));
  }

  #close(name: string): HTMLElement {
    const close = document.createElement("button");
    close.type = "button";
    close.className = "tab-close";
    close.tabIndex = -1;
    close.title = `Remove ${name}`;
    close.setAttribute("aria-hidden", "true");
    close.append(drawing(10, "M1.5 1.5l7 7M8.5 1.5l-7 7"));
    return close;
  }

  #isClose(target: EventTarget | null): boolean {
    return target instanceof Element && target.closest(".tab-close") !== null;
  }

  #indexOf(target: EventTarget | null): number | undefined {
    const frame = target instanceof Element ? target.closest(".tab-frame") : null;
    const index = frame ? [...this.#list.children].indexOf(frame) : -1;
    return index >= 0 ? index : undefined;
  }

  #click(event: MouseEvent): void {
    const index = this.#indexOf(event.target);
    if (index === undefined || this.#dropped) return;
    if (this.#isClose(event.target)) this.#events.remove(index);
    // A finger can't hover over a hint nor press F2: a tap on the tab that is open already renames it.
    else if (index === this.#active && coarse.matches) this.#events.rename(index);
    else this.#events.select(index);
  }

  #scroll({ deltaX, deltaY }: WheelEvent): void {
    if (deltaX === 0) this.#list.scrollLeft += deltaY;
  }

  #startDrag({ target, clientX, button, pointerType }: PointerEvent): void {
    const from = this.#indexOf(target);
    // A finger scrolls the row; for it, the dialog that renames makes a file the main one.
    if (from === undefined || button !== 0 || pointerType === "touch" || this.#isClose(target)) return;
    this.#drag = { from, x: clientX, moved: false };
  }

  #goOnDragging(event: PointerEvent): void {
    const drag = this.#drag;
    if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < DRAGGED)) return;
    if (!drag.moved) {
      drag.moved = true;
      this.#list.setPointerCapture(event.pointerId);
      this.#list.children[drag.from]?.classList.add("dragged");
    }
    const target = this.#target(event.clientX);
    [...this.#list.children].forEach((tab, i) => {
      tab.classList.toggle("before", i === target && target < drag.from);
      tab.classList.toggle("after", i === target && target > drag.from);
    });
  }

  #drop(event: PointerEvent): void {
    const drag = this.#drag;
    const to = this.#target(event.clientX);
    this.#endDrag();
    if (!drag?.moved || to === drag.from) return;
    // What the pointer is let go over is not clicked as well; if at all, that comes before anything else.
    this.#dropped = true;
    setTimeout(() => void (this.#dropped = false));
    this.#events.move(drag.from, to);
  }

  #endDrag(): void {
    this.#drag = undefined;
    for (const tab of this.#list.children) tab.classList.remove("dragged", "before", "after");
  }

  #target(x: number): number {
    const frames = [...this.#list.children];
    const found = frames.findIndex((frame) => x < frame.getBoundingClientRect().right);
    return found < 0 ? frames.length - 1 : found;
  }

  #handleKey(event: KeyboardEvent): void {
    const index = this.#indexOf(event.target);
    if (index === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const count = this.#list.children.length;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const moves: Readonly<Record<string, number>> = { Home: 0, End: count - 1 };
    const target = step === 0 ? moves[event.key] : (index + step + count) % count;
    if (event.shiftKey && step !== 0) {
      if (index + step >= 0 && index + step < count) this.#events.move(index, index + step);
    } else if (target !== undefined) this.#events.select(target);
    else if (event.key === "F2") this.#events.rename(index);
    else if (event.key === "Delete") this.#events.remove(index);
    else return;
    event.preventDefault();
  }
}
