/** Orders texts and cells as people read them, and long lists again and again at little cost. */

/** Texts, with the numbers in them by value. */
export const compareText = new Intl.Collator('en', { numeric: true, sensitivity: 'base' }).compare

/** Cells: numbers by value, texts as `compareText`. */
export function compareCells(one: string | number, other: string | number): number {
  return typeof one === 'number' && typeof other === 'number' ? one - other : compareText(String(one), String(other))
}

/** What rows are ordered by, and what tells equal ones apart. */
export interface OrderBy<T> {
  key: (row: T) => string
  value: (row: T) => string | number
  descending: boolean
}

/**
 * Orders a list that changes little between two times: it begins with the order of the last time, which the engine's
 * sort goes through once where nothing changed.
 */
export class Orderer<T> {
  private places = new Map<string, number>()

  constructor(private readonly compare = compareCells) {}

  order(rows: T[], { key, value, descending }: OrderBy<T>): T[] {
    const sign = descending ? -1 : 1
    const entries = rows.map((row) => ({ row, key: key(row), value: value(row) }))
    const known: (typeof entries)[number][] = []
    const fresh: typeof entries = []
    for (const entry of entries) {
      const place = this.places.get(entry.key)
      // Two rows of one key are told apart by being read one after the other.
      if (place === undefined || known[place] !== undefined) fresh.push(entry)
      else known[place] = entry
    }
    const nearly = [...known.filter((entry) => entry !== undefined), ...fresh]
    nearly.sort((one, other) => sign * this.compare(one.value, other.value) || this.compare(one.key, other.key))
    this.places = new Map(nearly.map((entry, place) => [entry.key, place]))
    return nearly.map((entry) => entry.row)
  }
}
