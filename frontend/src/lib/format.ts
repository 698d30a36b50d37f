/** Figures for people. */

export function seconds(value: number): string {
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.995) return `${value.toFixed(2)} s`;
  if (value < 59.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 999_500) return `${Math.round(value / 1000)} kB`;
  if (value < 99_950_000) return `${(value / 1e6).toFixed(1)} MB`;
  if (value < 999_500_000) return `${Math.round(value / 1e6)} MB`;
  return `${(value / 1e9).toFixed(2)} GB`;
}

/** A limit, which is a round figure: `30 s`, `2 minutes`. */
export function duration(value: number): string {
  if (value >= 120 && value % 60 === 0) return `${value / 60} minutes`;
  return value === 1 ? "1 second" : `${value} seconds`;
}

/** Powers of two read best as what they are. */
export function binaryBytes(value: number): string {
  if (value >= 2 ** 30 && value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`;
  if (value >= 2 ** 20 && value % 2 ** 20 === 0) return `${value / 2 ** 20} MiB`;
  if (value >= 2 ** 10 && value % 2 ** 10 === 0) return `${value / 2 ** 10} KiB`;
  return bytes(value);
}

const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;

/** How long ago something was, both in milliseconds since 1970: `2 hours ago`, `just now`. */
export function ago(then: number, now: number): string {
  const passed = (now - then) / 1000;
  const unit = UNITS.find(([, size]) => passed >= size);
  if (!unit) return "just now";
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(-Math.floor(passed / unit[1]), unit[0]);
}

/** The API tells sizes to the byte, which is for programs. */
export function withReadableSizes(sentence: string): string {
  return sentence.replace(/\b(\d{4,}) bytes\b/g, (_all, number: string) => binaryBytes(Number(number)));
}
