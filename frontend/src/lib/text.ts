/** Cutting and comparing text without cutting characters. */

/** Parts of at most `size` UTF-16 units that split no character. */
export function* inParts(text: string, size: number): Generator<string> {
  for (let from = 0; from < text.length;) {
    let to = Math.min(from + size, text.length);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to -= 1;
    yield text.slice(from, to);
    from = to;
  }
}

export interface Difference {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

const isTrailing = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xdc00;

/** The one replacement that makes `after` of `before`, as small as one can be; undefined when they are the same. */
export function difference(before: string, after: string): Difference | undefined {
  if (before === after) return undefined;
  const shorter = Math.min(before.length, after.length);
  let from = 0;
  while (from < shorter && before[from] === after[from]) from++;
  if (from > 0 && (isTrailing(before, from) || isTrailing(after, from))) from--;
  let same = 0;
  while (same < shorter - from && before[before.length - 1 - same] === after[after.length - 1 - same]) same++;
  if (same > 0 && isTrailing(before, before.length - same)) same--;
  return { from, to: before.length - same, insert: after.slice(from, after.length - same) };
}
