import { expect, test } from 'vitest'

import { destination } from './tableKeys'

test('keys lead to rows that there are', () => {
  const from = (key: string, index: number): number | undefined => destination(key, index, 100, 20)
  expect(from('ArrowDown', 5)).toBe(6)
  expect(from('ArrowUp', 0)).toBeUndefined()
  expect(from('PageDown', 90)).toBe(99)
  expect(from('PageUp', 50)).toBe(30)
  expect(from('Home', 50)).toBe(0)
  expect(from('End', 50)).toBe(99)
  expect(from('End', 99)).toBeUndefined()
  expect(from('a', 5)).toBeUndefined()
  expect(destination('ArrowDown', 0, 0, 20)).toBeUndefined()
})
