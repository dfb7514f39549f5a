import { expect, test } from 'vitest'

import { amountsOf, usesOf } from './quota'

test('a quota says how much of it is given out', () => {
  const quota = { limit: { pods: '10', limitsCpu: '4000m', type: '/v3/schemas/x' }, usedLimit: { limitsCpu: '1' } }
  expect(usesOf(quota)).toEqual([
    { name: 'limitsCpu', used: '1', limit: '4000m', share: 0.25 },
    { name: 'pods', used: '0', limit: '10', share: 0 },
  ])
  expect(usesOf({ limit: { pods: '0' }, usedLimit: { pods: '2' } })[0]?.share).toBe(1)
  expect(usesOf(null)).toEqual([])
})

test('what is left empty is not limited', () => {
  expect(amountsOf({ pods: ' 10 ', limitsCpu: '' })).toEqual({ limit: { pods: '10' } })
  expect(amountsOf({ pods: ' ' })).toBeNull()
})
