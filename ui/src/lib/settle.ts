/**
 * Keeps rows where they are while somebody points at them.
 *
 * A list that reorders under the pointer makes people click the wrong thing.
 * While it is held, rows change in place, rows that went stay as gone, and new
 * ones wait; once it is let go, the wanted order takes over.
 */

export interface Settled<T> {
  rows: { row: T; gone: boolean }[]
  /** How many new rows wait. */
  waiting: number
}

/**
 * `shown` is what is on the screen, `wanted` what should be; both are known by
 * `id`. A first look (`shown` empty) is never held.
 */
export function settle<T>(shown: { row: T; gone: boolean }[], wanted: T[], id: (row: T) => string, held: boolean): Settled<T> {
  if (!held || shown.length === 0) return { rows: wanted.map((row) => ({ row, gone: false })), waiting: 0 }
  const fresh = new Map(wanted.map((row) => [id(row), row]))
  const rows = shown.map(({ row }) => {
    const now = fresh.get(id(row))
    fresh.delete(id(row))
    return now === undefined ? { row, gone: true } : { row: now, gone: false }
  })
  return { rows, waiting: fresh.size }
}
