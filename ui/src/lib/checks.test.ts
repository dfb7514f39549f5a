import { expect, test } from 'vitest'

import { checksOf } from './checks'

test('what an agent found is read, and what is none is nothing', () => {
  const check = { step: 'clock', outcome: 'failed', mayHeal: false, reason: 'an hour late', advice: 'set it' }
  const read = (text: string): unknown => checksOf({ 'drover.dev/agent-checks': text })
  expect(read(JSON.stringify({ ready: false, checks: [check, { ...check, outcome: 'new' }] }))).toEqual([check])
  expect(read('{')).toEqual([])
  expect(read('{}')).toEqual([])
  expect(checksOf(null)).toEqual([])
})
