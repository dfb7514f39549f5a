import { beforeEach, expect, test } from 'vitest'

import { ask, notices, question } from './notices'

beforeEach(() => notices.splice(0))

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
