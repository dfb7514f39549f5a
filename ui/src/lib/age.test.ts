import { expect, it } from 'vitest'

import { age, duration, parseDuration } from './age'

it.each([
  [0, '0s'],
  [-5, '0s'],
  [119, '119s'],
  [120, '2m'],
  [200, '3m20s'],
  [3600, '60m'],
  [3 * 3600 + 60, '3h1m'],
  [30 * 3600, '30h'],
  [3 * 86400 + 7200, '3d2h'],
  [100 * 86400, '100d'],
  [800 * 86400, '2y70d'],
])('%d seconds are %s', (seconds, expected) => {
  expect(duration(seconds)).toBe(expected)
})

it('a duration is read back to its own precision', () => {
  for (const text of ['45s', '3m20s', '60m', '3h1m', '30h', '3d2h', '2y70d']) {
    expect(duration(parseDuration(text) ?? Number.NaN)).toBe(text)
  }
  expect(parseDuration('<unknown>')).toBeUndefined()
  expect(parseDuration('')).toBeUndefined()
})

it('an age needs a time', () => {
  const now = Date.parse('2026-01-01T00:01:00Z')
  expect(age('2026-01-01T00:00:00Z', now)).toBe('60s')
  expect(age(undefined, now)).toBe('')
  expect(age('yesterday', now)).toBe('')
})
