/**
 * Work on texts that never holds the page up: small ones are done at once, large ones in a worker.
 *
 * A worker that cannot be had (the server is away, another build) is no reason
 * not to save: the page does the work itself then.
 */

import { carryOut, type Done, type Order, type Work } from './work'

/** Characters of a text that is worked on in a few milliseconds. */
const SMALL = 50_000

let worker: Worker | undefined
let numbered = 0
const waiting = new Map<number, { order: Order; take: (done: Done) => void }>()

/** Carries out some work; fails with its message. */
export async function inBackground<K extends keyof Work>(name: K, ...given: Parameters<Work[K]>): Promise<ReturnType<Work[K]>> {
  const order = { id: (numbered += 1), name, given }
  const done = isLarge(given[0]) ? await byWorker(order) : carryOut(order)
  if ('problem' in done) throw new Error(done.problem)
  return done.result as ReturnType<Work[K]>
}

/** Whether there is much to do: texts by their length, objects by that of what is in them, as far as that has to be looked at. */
export function isLarge(value: unknown): boolean {
  let left = SMALL
  const look = (one: unknown): void => {
    if (left < 0) return
    left -= typeof one === 'string' ? one.length : 8
    if (typeof one !== 'object' || one === null) return
    for (const [key, inner] of Object.entries(one)) {
      if (left < 0) return
      left -= key.length
      look(inner)
    }
  }
  look(value)
  return left < 0
}

function byWorker(order: Order): Promise<Done> {
  return new Promise((take) => {
    waiting.set(order.id, { order, take })
    worker ??= start()
    worker.postMessage(order)
  })
}

function start(): Worker {
  const started = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  started.addEventListener('message', ({ data }: MessageEvent<Done>) => {
    waiting.get(data.id)?.take(data)
    waiting.delete(data.id)
  })
  started.addEventListener('error', () => {
    worker = undefined
    started.terminate()
    for (const { order, take } of waiting.values()) take(carryOut(order))
    waiting.clear()
  })
  return started
}
