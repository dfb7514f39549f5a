import { beforeEach, expect, test } from 'vitest'

import { attemptEach, notices } from './notices'

beforeEach(() => notices.splice(0))

test('what fails keeps nothing else from being done, and is named', async () => {
  const done: string[] = []
  const work = async ({ name }: { name: string }): Promise<void> => {
    if (name === 'b') throw new Error('held by a finalizer')
    done.push(name)
  }
  const all = ['a', 'b', 'c'].map((name) => ({ name }))
  expect(await attemptEach(all, work, 'deleted')).toBe(false)
  expect(done).toEqual(['a', 'c'])
  expect(notices.map(({ kind, text }) => [kind, text])).toEqual([['failed', '1 of 3 failed. b: held by a finalizer']])
  expect(await attemptEach(all.slice(0, 1), work, 'deleted')).toBe(true)
  expect(await attemptEach(all.slice(1, 2), work, 'deleted')).toBe(false)
  expect(notices.slice(1).map(({ text }) => text)).toEqual(['deleted', 'held by a finalizer'])
})
