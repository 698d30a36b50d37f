/** What is kept in the browser: JSON under a prefix, read back with suspicion, since anything may be there. */

const PREFIX = "trio-exec:";

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

  /** Whether the browser lets the page keep anything at all. */
  get usable(): boolean {
    return this.#storage !== undefined;
  }

  get<T>(name: string, parse: (value: unknown) => T | undefined): T | undefined {
    try {
      const text = this.#storage?.getItem(PREFIX + name);
      return typeof text === "string" ? parse(JSON.parse(text)) : undefined;
    } catch {
      return undefined;
    }
  }

  /** False when it could not be kept, for instance because the storage is full. */
  set(name: string, value: unknown): boolean {
    try {
      this.#storage?.setItem(PREFIX + name, JSON.stringify(value));
      return this.#storage !== undefined;
    } catch {
      return false;
    }
  }

  /** Names of all that is kept, of those that begin with `beginning`. */
  names(beginning: string): string[] {
    try {
      const keys = Array.from({ length: this.#storage?.length ?? 0 }, (_, i) => this.#storage?.key(i) ?? "");
      return keys.filter((key) => key.startsWith(PREFIX + beginning)).map((key) => key.slice(PREFIX.length));
    } catch {
      return [];
    }
  }

  remove(name: string): void {
    try {
      this.#storage?.removeItem(PREFIX + name);
    } catch {
      // Nothing is there to be removed, then.
    }
  }
}

export const asString = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
export const asBoolean = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);
export const asNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

/** The name under which a `storage` event's key is kept; undefined when it is none of ours. */
export const nameOfKey = (key: string): string | undefined =>
  key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined;
