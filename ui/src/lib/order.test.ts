import { expect, it, vi } from 'vitest'

import { compareCells, compareText, Orderer, type OrderBy } from './order'

it('numbers within texts count by their value', () => {
  expect(['web-10', 'web-2', 'Web-1'].sort(compareText)).toEqual(['Web-1', 'web-2', 'web-10'])
  expect([3, 20, 1].sort(compareCells)).toEqual([1, 3, 20])
})

interface Row {
  id: string
  n: number
}

function by(descending = false, value = (row: Row) => row.n): OrderBy<Row> {
  return { key: (row) => row.id, value, descending }
}

it('a list is in order however it changed since the last time', () => {
  const orderer = new Orderer<Row>()
  let seed = 7
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
  let rows: Row[] = []
  for (let round = 0; round < 60; round += 1) {
    rows = rows.filter(() => random(10) > 0).map((row) => (random(4) === 0 ? { ...row, n: random(9) } : row))
    for (let more = random(6); more > 0; more -= 1) rows.push({ id: `r-${random(1000)}-${round}-${more}`, n: random(9) })
    const descending = random(2) === 0
    const plain = rows.toSorted((one, other) => (descending ? other.n - one.n : one.n - other.n) || compareText(one.id, other.id))
    expect(orderer.order(rows, by(descending)).map((row) => row.id)).toEqual(plain.map((row) => row.id))
  }
})

it('rows of one key are all there', () => {
  const orderer = new Orderer<Row>()
  const twice = [
    { id: 'a', n: 2 },
    { id: 'a', n: 1 },
  ]
  for (let round = 0; round < 2; round += 1) expect(orderer.order(twice, by())).toEqual([twice[1], twice[0]])
})

it('what changed little is ordered in about one pass', () => {
  const compare = vi.fn(compareCells)
  const orderer = new Orderer<Row>(compare)
  const rows = Array.from({ length: 5000 }, (_, n) => ({ id: `r-${(n * 7919) % 5000}`, n }))
  const order = by(false, (row) => row.id.length)
  orderer.order(rows, order)
  const first = compare.mock.calls.length
  compare.mockClear()
  orderer.order(rows.slice(3), order)
  expect(compare.mock.calls.length).toBeLessThan(3 * rows.length)
  expect(first).toBeGreaterThan(5 * rows.length)
})
