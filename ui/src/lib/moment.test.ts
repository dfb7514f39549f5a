import { expect, test } from 'vitest'

import { moment } from './moment'

test('times are local and line up', () => {
  expect(moment(new Date(2026, 2, 4, 5, 6, 7).toISOString())).toBe('2026-03-04 05:06:07')
  expect([moment(undefined), moment('soon')]).toEqual(['', ''])
})
