/**
 * What is remembered of all files together: each may have few bytes and make us remember many, and
 * there may be many of them. Whatever is remembered can be read again.
 *
 * @module
 */

/** Something that is remembered. */
export interface Cache {
  /** Bytes that it holds. */
  readonly bytes: number;
  /** Forgets everything, and holds nearly nothing. */
  startOver(): void;
}

/** Caches that may hold so many bytes together; beyond, the largest starts over. */
export class CacheBudget {
  /** How often one had to start over. */
  startedOver = 0;
  private readonly limit: number;
  /** Weak: who forgets a file forgets its cache without a word. */
  private caches: WeakRef<Cache>[] = [];
  /** At least what they hold: those that are gone are in it until the next look. */
  private estimate = 0;
  /** So many, and those that are gone are taken off the list. */
  private most = 64;

  /** @param limit Bytes. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Adds a cache, which has asked for nothing yet. */
  add(cache: Cache): void {
    if (this.caches.length === this.most) {
      this.caches = this.caches.filter((each) => each.deref() !== undefined);
      this.most = Math.max(64, 2 * this.caches.length);
    }
    this.caches.push(new WeakRef(cache));
  }

  /** To be called before a cache holds so many bytes more. It may start over itself. */
  grow(bytes: number): void {
    this.estimate += bytes;
    if (this.estimate <= this.limit) return;
    const living = this.caches.flatMap((each) => each.deref() ?? []);
    this.caches = living.map((each) => new WeakRef(each));
    this.estimate = bytes;
    for (const each of living) this.estimate += each.bytes;
    while (this.estimate > this.limit && living.length > 0) {
      let largest = 0;
      for (let i = 1; i < living.length; i++) {
        if (living[i].bytes > living[largest].bytes) largest = i;
      }
      const [cache] = living.splice(largest, 1);
      this.estimate -= cache.bytes;
      cache.startOver();
      this.estimate += cache.bytes;
      this.startedOver++;
    }
  }
}
