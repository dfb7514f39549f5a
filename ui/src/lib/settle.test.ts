import { expect, it } from 'vitest'

import { settle } from './settle'

const id = (row: { id: string }): string => row.id
const a = { id: 'a', n: 1 }
const b = { id: 'b', n: 1 }
const shown = [a, b].map((row) => ({ row, gone: false }))

it('a held list changes in place, keeps what went and lets new rows wait', () => {
  const wanted = [
    { id: 'c', n: 1 },
    { id: 'b', n: 2 },
  ]
  expect(settle(shown, wanted, id, true)).toEqual({
    rows: [
      { row: a, gone: true },
      { row: { id: 'b', n: 2 }, gone: false },
    ],
    waiting: 1,
  })
})

it('a list let go shows what is wanted', () => {
  expect(settle(shown, [b, a], id, false)).toEqual({ rows: [b, a].map((row) => ({ row, gone: false })), waiting: 0 })
})

it('a first look is not held, and a row that comes back is there again', () => {
  expect(settle([], [a], id, true).rows).toHaveLength(1)
  expect(settle([{ row: a, gone: true }], [a], id, true)).toEqual({ rows: [{ row: a, gone: false }], waiting: 0 })
})
