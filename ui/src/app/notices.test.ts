import { beforeEach, expect, test } from 'vitest'

import { ask, attemptEach, notices, question } from './notices'

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

test('a question is asked at once, and answered once it is known what it is about', async () => {
  let tell = (_: { text: string; items: string[] }): void => undefined
  const later = new Promise<{ text: string; items: string[] }>((resolve) => (tell = resolve))
  const answer = ask({ title: 'Delete web?', text: '', confirm: 'Delete' }, later)
  expect(question.value).toMatchObject({ title: 'Delete web?', pending: true })
  tell({ text: 'It takes along:', items: ['Pod web-1'] })
  await later
  expect(question.value).toMatchObject({ items: ['Pod web-1'], pending: false })
  question.value?.answer(true)
  expect(await answer).toBe(true)
  expect(question.value).toBeUndefined()
})
