import { beforeEach, expect, test } from 'vitest'

import { notices } from './notices'
import { runEach, runs } from './runs'

beforeEach(() => {
  notices.splice(0)
  runs.splice(0)
})

const WORDS = { doing: (count: number) => `Deleting ${count}`, done: 'deleted' }
const named = (names: string[]): { name: string }[] => names.map((name) => ({ name }))

test('what fails keeps nothing else from being done, is named, and can be tried again', async () => {
  let held = true
  const done: string[] = []
  let after = 0
  const work = async ({ name }: { name: string }): Promise<void> => {
    if (name === 'b' && held) throw new Error('held by a finalizer')
    done.push(name)
  }
  const going = runEach(named(['a', 'b', 'c']), work, WORDS, () => (after += 1))
  expect(runs).toMatchObject([{ doing: 'Deleting 3', all: 3, isRunning: true }])
  expect(await going).toBe(false)
  expect(done).toEqual(['a', 'c'])
  expect(runs).toMatchObject([{ ended: 3, isRunning: false, failed: [{ name: 'b', why: 'held by a finalizer' }] }])
  expect([notices.length, after]).toEqual([0, 0])

  held = false
  runs[0]?.again()
  expect(runs).toMatchObject([{ doing: 'Deleting 1', all: 1, failed: [], isRunning: true }])
  await new Promise((resolve) => setImmediate(resolve))
  expect(done).toEqual(['a', 'c', 'b'])
  expect(runs).toEqual([])
  expect(notices.map(({ text }) => text)).toEqual(['deleted'])
  expect(after).toBe(1)
})

test('one alone is a notice, well or not', async () => {
  expect(await runEach(named(['a']), async () => undefined, WORDS)).toBe(true)
  const refuse = (): Promise<never> => Promise.reject(new Error('no'))
  expect(await runEach(named(['a']), refuse, WORDS)).toBe(false)
  expect(notices.map(({ kind, text }) => [kind, text])).toEqual([
    ['done', 'deleted'],
    ['failed', 'no'],
  ])
  expect(runs).toEqual([])
})

test('what is stopped begins with no other, and goes on with those that are left', async () => {
  const begun: string[] = []
  const release: (() => void)[] = []
  const work = ({ name }: { name: string }): Promise<void> => {
    begun.push(name)
    return new Promise((resolve) => release.push(resolve))
  }
  const all = named(Array.from({ length: 10 }, (_, at) => String(at)))
  const going = runEach(all, work, WORDS)
  runs[0]?.stop()
  for (const go of release.splice(0)) go()
  expect(await going).toBe(false)
  expect(begun).toHaveLength(6)
  expect(runs).toMatchObject([{ all: 10, ended: 6, failed: [], isRunning: false }])
  runs[0]?.again()
  for (const go of release.splice(0)) go()
  await new Promise((resolve) => setImmediate(resolve))
  expect(begun).toHaveLength(10)
  expect(runs).toEqual([])
})
