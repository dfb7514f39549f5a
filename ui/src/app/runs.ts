/**
 * The same done with several things: how far it is, what failed and why; stopped, and tried again.
 *
 * One that fails keeps no other from being done. What went well is a short notice; what did not stays until somebody
 * turned it away.
 */

import { reactive } from 'vue'

import { messageOf } from '@/api/http'
import { eachOf } from '@/lib/each'

import { attempt, notify } from './notices'

/** Things that are done at once. */
const AT_ONCE = 6

export interface Failure {
  name: string
  why: string
}

export interface Run {
  id: number
  /** What is being done: `Deleting 12 objects`. */
  doing: string
  /** How many there are, and with how many it is over, well or not. */
  all: number
  ended: number
  failed: Failure[]
  isRunning: boolean
  /** Begins with no other; those that are being done are waited for. */
  stop: () => void
  /** Once more with what failed or was not begun. */
  again: () => void
}

export const runs = reactive<Run[]>([])
let next = 1

export function dismissRun(id: number): void {
  const at = runs.findIndex((run) => run.id === id)
  if (at >= 0) runs.splice(at, 1)
}

/** Stops and forgets all, after a sign-out. */
export function forgetRuns(): void {
  for (const run of runs) run.stop()
  runs.splice(0)
}

/** Words for what is done. */
export interface Words {
  /** While it is done with several: `Deleting 12 objects`. */
  doing: (count: number) => string
  /** Once it is. */
  done: string
}

/** Does the same with each. Whether all went well; `after` is called once all did, also when that took another try. */
export async function runEach<T extends { name: string }>(
  all: T[],
  work: (one: T) => Promise<unknown>,
  words: Words,
  after: () => void = () => undefined,
): Promise<boolean> {
  const [only] = all
  const good = (): void => {
    if (words.done !== '') notify(words.done)
    after()
  }
  if (!only) return true
  if (all.length > 1) return round(begin(all.length, words), all, work, words, good)
  const went = await attempt(() => work(only))
  if (went) good()
  return went
}

function begin(count: number, words: Words): Run {
  const nothing = (): void => undefined
  const run = reactive<Run>({
    id: next,
    doing: words.doing(count),
    all: count,
    ended: 0,
    failed: [],
    isRunning: true,
    stop: nothing,
    again: nothing,
  })
  next += 1
  runs.push(run)
  return run
}

async function round<T extends { name: string }>(
  run: Run,
  all: T[],
  work: (one: T) => Promise<unknown>,
  words: Words,
  good: () => void,
): Promise<boolean> {
  let isStopped = false
  const undone = new Set(all)
  Object.assign(run, { doing: words.doing(all.length), all: all.length, ended: 0, failed: [], isRunning: true })
  run.stop = () => (isStopped = true)
  run.again = () => {
    if (!run.isRunning) void round(run, [...undone], work, words, good)
  }
  await eachOf(
    all,
    AT_ONCE,
    async (one) => {
      try {
        await work(one)
        undone.delete(one)
      } catch (error) {
        run.failed.push({ name: one.name, why: messageOf(error) })
      }
      run.ended += 1
    },
    () => isStopped,
  )
  run.isRunning = false
  if (undone.size > 0) return false
  dismissRun(run.id)
  good()
  return true
}

// Who closes the page stops what it does.
if (typeof window !== 'undefined')
  window.addEventListener('beforeunload', (event) => {
    if (runs.some((run) => run.isRunning)) event.preventDefault()
  })
