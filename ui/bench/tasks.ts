/** The longest task of a page's main thread, by the clock and by the processor time it took. */

import type { Browser, CDPSession, Page } from '@playwright/test'

interface TraceEvent {
  name: string
  ph: string
  pid: number
  tid: number
  /** Microseconds, of the clock and of the processor. */
  dur?: number
  tdur?: number
  args?: { name?: string }
}

export interface Longest {
  /** Milliseconds by the clock: what a person waits, on a machine that does other things as well. */
  clock: number
  /** Milliseconds of the processor. */
  processor: number
}

/** Does something, and tells the longest task of any page meanwhile, until the page had nothing to do for a moment. */
export async function longestTask(browser: Browser, page: Page, act: () => Promise<unknown>): Promise<Longest> {
  const session: CDPSession = await browser.newBrowserCDPSession()
  const events: TraceEvent[] = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])))
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', '__metadata'] },
  })
  await act()
  await page.evaluate(() => new Promise((idle) => requestIdleCallback(idle, { timeout: 5000 })))
  const complete = new Promise((done) => session.once('Tracing.tracingComplete', done))
  await session.send('Tracing.end')
  await complete
  await session.detach()
  const main = new Set(
    events
      .filter((one) => one.name === 'thread_name' && one.args?.name === 'CrRendererMain')
      .map((one) => `${one.pid} ${one.tid}`),
  )
  const tasks = events.filter((one) => one.ph === 'X' && /RunTask/.test(one.name) && main.has(`${one.pid} ${one.tid}`))
  if (tasks.length === 0) throw new Error('the browser told of no task')
  const most = (of: (one: TraceEvent) => number | undefined): number => Math.max(...tasks.map((one) => of(one) ?? 0)) / 1000
  return { clock: most((one) => one.dur), processor: most((one) => one.tdur) }
}
