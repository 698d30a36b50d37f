/** Links within lines of the terminal: found in a line's text, wherever the screen had to break it. */

import type { IBufferCell, IBufferLine, ILink, ILinkProvider, Terminal } from "@xterm/xterm";

/** Part of a line that leads somewhere. */
export interface LineLink {
  readonly start: number;
  readonly end: number;
  readonly title: string;
  readonly open: () => void;
}

interface Cell {
  readonly x: number;
  readonly y: number;
}

/** The text of the whole line of which row `y` (from 0) is a part, and the cell of each of its UTF-16 units. */
function wholeLine(terminal: Terminal, y: number): { text: string; cells: Cell[] } {
  const buffer = terminal.buffer.active;
  const row = (at: number): IBufferLine | undefined => buffer.getLine(at);
  let first = y;
  while (first > 0 && row(first)?.isWrapped) first -= 1;
  let text = "";
  const cells: Cell[] = [];
  let cell: IBufferCell | undefined;
  for (let at = first; at === first || row(at)?.isWrapped; at++) {
    const line = row(at);
    if (!line) break;
    for (let x = 0; x < line.length; x++) {
      cell = line.getCell(x, cell);
      if (!cell || cell.getWidth() === 0) continue;
      const characters = cell.getChars() || " ";
      text += characters;
      cells.push(...Array.from({ length: characters.length }, () => ({ x, y: at })));
    }
  }
  return { text, cells };
}

export function lineLinks(terminal: Terminal, find: (line: string) => LineLink[], host: HTMLElement): ILinkProvider {
  return {
    provideLinks(row, callback) {
      const { text, cells } = wholeLine(terminal, row - 1);
      const links: ILink[] = [];
      for (const { start, end, title, open } of find(text)) {
        const first = cells[start];
        const last = cells[end - 1];
        if (!first || !last || row - 1 < first.y || row - 1 > last.y) continue;
        links.push({
          range: { start: { x: first.x + 1, y: first.y + 1 }, end: { x: last.x + 1, y: last.y + 1 } },
          text: text.slice(start, end),
          activate: open,
          hover: () => void (host.title = title),
          leave: () => void (host.title = ""),
        });
      }
      callback(links);
    },
  };
}
