/** Rows by the keyboard: arrows move from one to the next, as in a file list; letters mark them. */

import { nextTick } from 'vue'

export interface TableKeys {
  onKey: (event: KeyboardEvent) => Promise<void>
  /** To the first row, from what is above the list. */
  enter: () => Promise<void>
  /** To a row that is in sight. */
  focusRow: (index: number) => Promise<void>
}

export interface TableRows {
  count: () => number
  scroller: () => HTMLElement | null
  scrollTo: (index: number) => void
  /** Rows that fit. */
  page: () => number
  /** Marks a row, or with `through` all from the one that was marked last. */
  mark: (index: number, through: boolean) => void
}

/** Where a key leads from a row; undefined when it leads nowhere. Pure. */
export function destination(key: string, index: number, count: number, page: number): number | undefined {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }
  const step = steps[key]
  const to = key === 'Home' ? 0 : key === 'End' ? count - 1 : step === undefined ? undefined : index + step
  if (to === undefined || count === 0) return undefined
  const within = Math.min(count - 1, Math.max(0, to))
  return within === index ? undefined : within
}

export function useTableKeys(rows: TableRows): TableKeys {
  async function go(index: number): Promise<void> {
    rows.scrollTo(index)
    await focusRow(index)
  }
  async function focusRow(index: number): Promise<void> {
    await nextTick()
    // What comes into sight is drawn with the next frames.
    for (let frame = 0; frame < 10; frame += 1) {
      const row = rows.scroller()?.querySelector(`tr[data-index='${index}']`)
      const target = row?.querySelector<HTMLElement>('a') ?? row?.querySelector<HTMLElement>('button, input')
      if (target) return target.focus()
      await new Promise((drawn) => requestAnimationFrame(drawn))
    }
  }
  async function onKey(event: KeyboardEvent): Promise<void> {
    const element = event.target as HTMLElement
    const row = element.closest<HTMLElement>('tr[data-index]')
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return
    const index = Number(row.dataset.index)
    if (event.key === 'x') {
      event.preventDefault()
      // Not also a shortcut of the whole page.
      event.stopPropagation()
      return rows.mark(index, false)
    }
    const to = destination(event.key, index, rows.count(), rows.page())
    if (to === undefined) return
    event.preventDefault()
    if (event.shiftKey && Math.abs(to - index) === 1) rows.mark(to, true)
    await go(to)
  }
  return { onKey, focusRow, enter: () => (rows.count() > 0 ? go(0) : Promise.resolve()) }
}
