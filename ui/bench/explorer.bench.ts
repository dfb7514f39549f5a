/**
 * Figures of a list of 50,000 pods in a real browser, against a real server and agent (`npm run bench`).
 *
 * Prints one line of JSON per figure. Not part of the tests: it measures the machine as well.
 *
 * Set by the environment: `DROVER_BENCH_PODS` (how many), `DROVER_BENCH_MINUTES` (how long the heap is watched while pods
 * change), `DROVER_BENCH_RATE` (changes per second meanwhile; as many as the cluster takes when absent) and
 * `DROVER_BENCH_ONLY` (`heap`: nothing but that; `tasks`: only the longest task of what people do). An hour of a moderate rate, with optimized programs:
 *
 *     DROVER_TEST_PROFILE=release DROVER_BENCH_ONLY=heap DROVER_BENCH_MINUTES=60 DROVER_BENCH_RATE=10 npm run bench
 */

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { expect, test, type Browser, type Page } from '@playwright/test'

import { serveBuilt } from '../tests/built'

import { interactions } from './interactions'
import { seed } from './seeds'

const PODS = Number(process.env.DROVER_BENCH_PODS ?? 50_000)
/** How long the list is watched while its pods change. */
const MINUTES = Number(process.env.DROVER_BENCH_MINUTES ?? 2)
/** Changes per second meanwhile; as many as the cluster takes when it is 0. */
const RATE = Number(process.env.DROVER_BENCH_RATE ?? 0)
/** Changes at once: three quarters are reports of pods, an eighth each go and come. About a second's worth. */
const ROUND = RATE === 0 ? 200 : Math.min(200, 8 * Math.max(1, Math.round(RATE / 8)))
const ONLY = process.env.DROVER_BENCH_ONLY ?? ''
/** Milliseconds between two looks at the heap: each costs the page a collection of its garbage. */
const LOOK = Math.max(15_000, MINUTES * 1000)
const PROFILE = process.env.DROVER_TEST_PROFILE ?? 'debug'

interface Place {
  url: string
  password: string
  cluster: string
}

function figure(name: string, value: number, unit: string, target?: number): void {
  console.log(JSON.stringify({ figure: name, value: Math.round(value * 10) / 10, unit, target, profile: PROFILE }))
}

async function crowd(): Promise<{ place: Place; tell: (line: string) => Promise<void>; stop: () => Promise<void> }> {
  const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../target', import.meta.url))
  const child = spawn(`${target}/${PROFILE}/drover-crowd`, [String(PODS)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const answers: ((line: string) => void)[] = []
  let fail = (_: Error): void => undefined
  child.once('exit', (code) => fail(new Error(`drover-crowd ended with ${code}`)))
  const next = (): Promise<string> =>
    new Promise((resolve, reject) => {
      answers.push(resolve)
      fail = reject
    })
  lines.on('line', (line) => answers.shift()?.(line))
  const place = JSON.parse(await next()) as Place
  return {
    place,
    tell: async (line) => {
      child.stdin.write(`${line}\n`)
      expect(await next()).toBe('ok')
    },
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.end()
      await ended
    },
  }
}

/** Keeps the longest task since it was last asked for. */
function watchTasks(): void {
  const tasks: number[] = []
  Object.assign(window, { takeTasks: () => tasks.splice(0) })
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
    type: 'longtask',
    buffered: true,
  })
}

/** Tasks over 50 ms; a task shorter than that is none to the browser. */
async function longest(page: Page): Promise<number> {
  const tasks = await page.evaluate(() => (window as unknown as { takeTasks: () => number[] }).takeTasks())
  return Math.max(0, ...tasks)
}

/** Milliseconds from doing something in the page until the list says so. */
async function timed(page: Page, act: string, done: string): Promise<number> {
  return page.evaluate(
    async ([act, done]) => {
      const isDone = new Function(`return (${done})`) as () => boolean
      const start = performance.now()
      new Function(act!)()
      await new Promise<void>((resolve) => {
        const look = (): void => (isDone() ? resolve() : void requestAnimationFrame(look))
        look()
      })
      return performance.now() - start
    },
    [act, done],
  )
}

const median = (values: number[]): number => values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0

const ROW = "document.querySelector('tr[data-index] a')"
const isAt = (index: number): string => `document.querySelector('tr[data-index="${index}"] a')`

interface Stage {
  page: Page
  url: string
  cluster: string
  /** The pages of the cluster. */
  base: string
  tell: (line: string) => Promise<void>
}

/** A page that is signed in, beside very many pods, for as long as the work takes. */
async function beside(page: Page, work: (stage: Stage) => Promise<void>): Promise<void> {
  const { place, tell, stop } = await crowd()
  try {
    await page.addInitScript(watchTasks)
    if (process.env.DROVER_UI === 'built') await serveBuilt(page.context())
    const login = await page.context().request.post(`${place.url}/v3-public/localProviders/local?action=login`, {
      data: { username: 'admin', password: place.password, responseType: 'cookie' },
    })
    expect(login.status()).toBe(200)
    const { url, cluster } = place
    await work({ page, url, cluster, base: `${url}/dashboard/c/${cluster}`, tell })
  } finally {
    await stop()
  }
}

test('a list of very many pods', async ({ page, browser }) => {
  test.setTimeout(1_800_000 + MINUTES * 60_000)
  await beside(page, async (stage) => {
    if (ONLY === '') await figuresOf(stage)
    if (ONLY === '' || ONLY === 'heap') await heapOf(stage)
    if (ONLY === '' || ONLY === 'tasks') await tasksOf(stage, browser)
  })
})

async function figuresOf({ page, base }: Stage): Promise<void> {
  const cold = Date.now()
  await page.goto(`${base}/r/pods`)
  await expect(page.locator('tr[data-index] a').first()).toBeVisible({ timeout: 300_000 })
  figure(`first list of ${PODS} pods, copy and page cold`, Date.now() - cold, 'ms')

  const loads: number[] = []
  const walks: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const start = Date.now()
    await page.goto(`${base}/r/pods`)
    await page.locator('tr[data-index] a').first().waitFor()
    loads.push(Date.now() - start)
    await page.getByRole('link', { name: 'Nodes', exact: true }).click()
    await expect(page.getByText('node-1', { exact: true })).toBeVisible()
    await longest(page)
    walks.push(
      await timed(
        page,
        'document.querySelector(\'nav a[href$="/r/pods"]\').click()',
        `${ROW} && document.querySelector('h1')?.textContent === 'Pods' && /^app-/.test(${ROW}.textContent)`,
      ),
    )
  }
  figure('the page loaded anew, until rows are there, median of 5', median(loads), 'ms', 1500)
  figure('from another page, until rows are there, median of 5', median(walks), 'ms', 300)
  figure('longest task on the way there', await longest(page), 'ms', 50)

  const sorts: number[] = []
  for (let round = 0; round < 4; round += 1) {
    const before = await page.locator('tr[data-index] a').first().textContent()
    const click = `[...document.querySelectorAll('th button')].find((one) => one.textContent.trim().startsWith('Name')).click()`
    sorts.push(await timed(page, click, `${ROW} && ${ROW}.textContent !== ${JSON.stringify(before)}`))
  }
  figure('order by a column, median of 4', median(sorts), 'ms', 300)
  figure('longest task while ordering', await longest(page), 'ms', 50)

  await page.goto(`${base}/r/pods`)
  await page.locator('tr[data-index] a').first().waitFor()
  await longest(page)
  const type = `const input = document.querySelector('input[data-filter]'); input.value = 'app-77-'; input.dispatchEvent(new Event('input'))`
  figure('filter to what is typed', await timed(page, type, `${ROW} && ${ROW}.textContent.startsWith('app-77-')`), 'ms', 300)
  figure('longest task while filtering', await longest(page), 'ms', 50)
  await page.getByLabel('Filter Pods').fill('')
  await expect(page.locator('tr[data-index] a').first()).not.toHaveText(/app-77-/)

  const scrolls: number[] = []
  for (const part of [0.5, 1, 0.25, 0.75, 0]) {
    const index = Math.min(PODS - 30, Math.floor(part * PODS))
    const scroll = `document.querySelector('.rows').scrollTop = ${index * 32}`
    scrolls.push(await timed(page, scroll, isAt(index + 5)))
  }
  figure('jump to another place of the list, median of 5', median(scrolls), 'ms', 300)
  figure('longest task while scrolling', await longest(page), 'ms', 50)
}

async function tasksOf({ page, url, cluster, base }: Stage, browser: Browser): Promise<void> {
  // What does not come ends the run, and is no figure.
  page.setDefaultTimeout(60_000)
  await seed(page.context().request, url, cluster)
  await interactions(browser, page, base, figure)
}

async function heapOf({ page, base, tell }: Stage): Promise<void> {
  await page.goto(`${base}/r/pods`)
  await expect(page.locator('tr[data-index] a').first()).toBeVisible({ timeout: 300_000 })
  const heap = await live(page, tell)
  figure('heap before updates', heap.before, 'MB')
  figure(`heap after ${MINUTES} min of ${heap.changes} changes`, heap.after, 'MB', heap.before * 1.2)
  figure('growth of the heap with 1,000 changes', heap.growth, 'kB', 10)
  figure('growth of the heap in an hour', heap.hourly, 'MB')
  figure('longest task while updates come', heap.longest, 'ms', 50)
}

interface Heap {
  /** In MB. */
  before: number
  after: number
  changes: number
  /** In kB for 1,000 changes, by all looks together. */
  growth: number
  /** In MB for an hour at this rate. */
  hourly: number
  /** The longest task, in milliseconds, but for what looking at the heap costs. */
  longest: number
}

/** How steeply a line rises that goes through points as well as one can. */
function slope(points: [number, number][]): number {
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
  return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread
}

/** Waits for a time, so that a rate is kept. */
function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - Date.now())))
}

/** Pods change, come and go while a person looks; the row under the pointer stays. */
async function live(page: Page, tell: (line: string) => Promise<void>): Promise<Heap> {
  const session = await page.context().newCDPSession(page)
  let worst = 0
  const used = async (): Promise<number> => {
    worst = Math.max(worst, await longest(page))
    // What the first collection lets go of may hold what the second one finds.
    for (let pass = 0; pass < 2; pass += 1) await session.send('HeapProfiler.collectGarbage')
    const { usedSize } = await session.send('Runtime.getHeapUsage')
    await longest(page)
    return usedSize / 1e6
  }
  const round = async (): Promise<void> => {
    await tell(`stir ${(ROUND * 3) / 4}`)
    await tell(`renew ${ROUND / 8}`)
  }
  const heading = page.getByRole('heading', { name: 'Pods' })
  const third = page.locator('tr[data-index="3"] a')
  await heading.hover()
  for (let warm = 0; warm < 5; warm += 1) await round()
  await longest(page)
  const looks: [number, number][] = [[0, await used()]]
  const times: [number, number][] = [[0, looks[0]?.[1] ?? 0]]
  const look = async (changes: number, hours: number): Promise<void> => {
    const size = await used()
    looks.push([changes, size])
    times.push([hours, size])
    // Says how far a long run is.
    console.error(`${Math.round(hours * 60)} min, ${changes} changes: ${size.toFixed(1)} MB`)
  }
  const hoursSince = (time: number): number => (Date.now() - time) / 3_600_000
  worst = 0
  const [begun, end] = [Date.now(), Date.now() + MINUTES * 60_000]
  let changes = 0
  for (let nth = 0; Date.now() < end; nth += 1) {
    if (nth % 4 === 0) {
      await heading.hover()
      // Nobody points at a row, so that all that changed is drawn.
      if (Date.now() - begun > looks.length * LOOK) await look(changes, hoursSince(begun))
    }
    let row: string | null = null
    if (nth % 4 === 2) {
      await third.hover()
      // The page hears of the pointer with its next frame.
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))))
      row = await third.textContent()
    }
    await round()
    changes += ROUND
    if (RATE > 0) await until(begun + (changes / RATE) * 1000)
    if (row) await expect(third).toHaveText(row)
  }
  await heading.hover()
  await look(changes, hoursSince(begun))
  return {
    before: looks[0]?.[1] ?? 0,
    after: looks.at(-1)?.[1] ?? 0,
    changes,
    growth: slope(looks) * 1e6,
    hourly: slope(times),
    longest: worst,
  }
}
