import { expect, it } from 'vitest'

import { isLarge } from './background'
import { carryOut } from './work'

const object = { apiVersion: 'v1', kind: 'A', metadata: { name: 'a' } }

it('answers with what the work comes to, or with what went wrong', () => {
  const written = carryOut({ id: 1, name: 'write', given: [object] })
  expect(written).toEqual({ id: 1, result: 'apiVersion: v1\nkind: A\nmetadata:\n  name: a\n' })
  expect(carryOut({ id: 2, name: 'read', given: ['apiVersion: v1\nkind: A\nmetadata:\n  name: a\n'] })).toEqual({
    id: 2,
    result: [object],
  })
  expect(carryOut({ id: 3, name: 'read', given: ['just: text'] })).toMatchObject({
    problem: expect.stringContaining('apiVersion'),
  })
})

it('hands over problems as names and what they are made from', () => {
  const known = {
    definitionType: 'io.k8s.A',
    definitions: {
      'io.k8s.A': { resourceFields: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'map' } } },
    },
  }
  const text = 'apiVersion: v1\nkind: A\nother: 1\n'
  const answer = carryOut({ id: 1, name: 'problems', given: [text, [[{ apiVersion: 'v1', kind: 'A' }, known]]] })
  expect(structuredClone(answer)).toEqual({
    id: 1,
    result: [{ from: text.indexOf('other'), to: text.indexOf('other') + 5, severity: 'warning', message: ['unknown', 'other'] }],
  })
})

it('tells what is large without looking at all of it', () => {
  expect(isLarge('x'.repeat(10))).toBe(false)
  expect(isLarge('x'.repeat(100_000))).toBe(true)
  expect(isLarge({ data: Object.fromEntries(Array.from({ length: 9000 }, (_, at) => [`key-${at}`, 'v'])) })).toBe(true)
  expect(isLarge(object)).toBe(false)
})
