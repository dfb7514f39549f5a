import { expect, test } from 'vitest'

import { dataSteps } from './dataSteps'

test('only keys that differ are changed, each only if it is as it was', () => {
  expect(dataSteps({ a: '1', b: '2', c: '3' }, { a: '1', b: 'two', d: '4' })).toEqual([
    { op: 'test', path: '/data/c', value: '3' },
    { op: 'remove', path: '/data/c' },
    { op: 'test', path: '/data/b', value: '2' },
    { op: 'replace', path: '/data/b', value: 'two' },
    { op: 'add', path: '/data/d', value: '4' },
  ])
  expect(dataSteps({ a: '1' }, { a: '1' })).toEqual([])
})

test('an object without data gets some, and odd keys are written as pointers say', () => {
  expect(dataSteps(undefined, { a: '1' })).toEqual([{ op: 'add', path: '/data', value: { a: '1' } }])
  expect(dataSteps(undefined, {})).toEqual([])
  expect(dataSteps({}, { 'x/y~z': '1' })).toEqual([{ op: 'add', path: '/data/x~1y~0z', value: '1' }])
})
