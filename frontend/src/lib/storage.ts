/** What is kept in the browser: JSON under a prefix, read back with suspicion, since anything may be there. */

export class Store {
  readonly #storage: Storage | undefined;

  constructor(open: () => Storage) {
    try {
      this.#storage = open();
    } catch {
      // Storage may be forbidden; the page then works without a memory.
      this.#storage = undefined;
    }
  }

  get<T>(name: string, parse: (value: unknown) => T | undefined): T | undefined {
    try {
      const text = this.#storage?.getItem(`trio-exec:${name}`);
      return typeof text === "string" ? parse(JSON.parse(text)) : undefined;
    } catch {
      return undefined;
    }
  }

  /** False when it could not be kept, for instance because the storage is full. */
  set(name: string, value: unknown): boolean {
    try {
      this.#storage?.setItem(`trio-exec:${name}`, JSON.stringify(value));
      return this.#storage !== undefined;
    } catch {
      return false;
    }
  }

  remove(name: string): void {
    try {
      this.#storage?.removeItem(`trio-exec:${name}`);
    } catch {
      // Nothing is there to be removed, then.
    }
  }
}

export const asString = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
export const asBoolean = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);
export const asNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
