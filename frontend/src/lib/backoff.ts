/**
 * How long to wait before another attempt: twice as long each time, up to a ceiling, and at random within the
 * upper half, so that the clients of a restarted server do not come back all at once.
 */

const FIRST = 500;
/** Short enough that somebody who watches does not reload the page. */
const LONGEST = 10_000;

export function backoff(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.5 + random() / 2));
}
