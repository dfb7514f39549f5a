import { expect, test } from 'vitest'

import { shareOf, shareText } from './capacity'

test('what is requested is told of what there is for pods', () => {
  const node = {
    allocatable: { cpu: '32', memory: '256Gi', pods: '110' },
    capacity: { cpu: '48' },
    requested: { cpu: '1500m', memory: '2Gi', pods: '7' },
  }
  expect(['cpu', 'memory', 'pods'].map((name) => shareText(node, name as 'cpu'))).toEqual([
    '1.5 / 32',
    '2 GiB / 256 GiB',
    '7 / 110',
  ])
  expect(shareText({ capacity: { cpu: '4' }, requested: null }, 'cpu')).toBe('0 / 4')
  expect(shareOf({ allocatable: { pods: '0' }, capacity: { pods: '10' }, requested: { pods: '5' } }, 'pods')).toBe(0.5)
})

test('what nobody knows is not told', () => {
  expect(shareText(undefined, 'cpu')).toBe('')
  expect(shareText({ requested: { cpu: '1' } }, 'cpu')).toBe('')
  expect(shareOf({}, 'cpu')).toBe(-1)
})
