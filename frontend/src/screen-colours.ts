/** The terminal's sixteen colours and its own, for light and for dark; they go with styles/colours.css. */

import type { ITheme } from "@xterm/xterm";

export type Shade = "light" | "dark";

const LIGHT: ITheme = {
  background: "#ffffff",
  foreground: "#1f2629",
  cursor: "#0b6e63",
  cursorAccent: "#ffffff",
  selectionBackground: "#bfe3dd",
  selectionInactiveBackground: "#dfe7e6",
  scrollbarSliderBackground: "#1f262926",
  scrollbarSliderHoverBackground: "#1f262947",
  scrollbarSliderActiveBackground: "#1f262966",
  black: "#1f2629",
  red: "#b3261e",
  green: "#2b7a2f",
  yellow: "#8a6100",
  blue: "#1f5fbf",
  magenta: "#8b3fa8",
  cyan: "#0b6e76",
  white: "#6b7679",
  brightBlack: "#5a666a",
  brightRed: "#c9352b",
  brightGreen: "#2f8534",
  brightYellow: "#996c00",
  brightBlue: "#2c6fd1",
  brightMagenta: "#9c4fba",
  brightCyan: "#107c85",
  brightWhite: "#3d484c",
};

const DARK: ITheme = {
  background: "#12171a",
  foreground: "#dde4e4",
  cursor: "#4fd1c0",
  cursorAccent: "#12171a",
  selectionBackground: "#24504b",
  selectionInactiveBackground: "#2a3438",
  scrollbarSliderBackground: "#dde4e426",
  scrollbarSliderHoverBackground: "#dde4e447",
  scrollbarSliderActiveBackground: "#dde4e466",
  // The ground itself: what full-screen programs paint black is one with what they leave.
  black: "#12171a",
  red: "#ff7b72",
  green: "#7fd68a",
  yellow: "#e6c069",
  blue: "#79b8ff",
  magenta: "#d3a4f0",
  cyan: "#6fd3dc",
  white: "#c9d1d1",
  brightBlack: "#7d898d",
  brightRed: "#ff9a92",
  brightGreen: "#9ae6a3",
  brightYellow: "#f2d38a",
  brightBlue: "#9ccaff",
  brightMagenta: "#e2bff7",
  brightCyan: "#93e4eb",
  brightWhite: "#f4f7f7",
};

export function screenColours(shade: Shade): ITheme {
  return shade === "light" ? LIGHT : DARK;
}
