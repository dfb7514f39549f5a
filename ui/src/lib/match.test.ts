import { expect, it } from 'vitest'

import { best, score } from './match'

it('every word must occur', () => {
  expect(score('shop/web-1', 'web shop')).toBeGreaterThan(0)
  expect(score('shop/web-1', 'web bank')).toBe(0)
  expect(score('anything', '')).toBeGreaterThan(0)
})

it('beginnings come first and equals keep their order', () => {
  const names = ['kube-web', 'cobweb', 'web', 'api']
  expect(best(names, 'web', (name) => name, 10)).toEqual(['web', 'kube-web', 'cobweb'])
  expect(best(names, '', (name) => name, 2)).toEqual(['kube-web', 'cobweb'])
})
