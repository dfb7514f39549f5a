import { expect, it } from 'vitest'

import { fromYaml, toYaml } from './yaml'

const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', managedFields: [{ manager: 'x' }] },
  data: { on: 'yes', text: 'a\nb\n' },
}

it('goes there and back without what the server keeps for itself', () => {
  const text = toYaml(object)
  expect(text).not.toContain('managedFields')
  expect(fromYaml(text)).toEqual([{ ...object, metadata: { name: 'a' } }])
})

it('reads several documents and skips empty ones', () => {
  expect(
    fromYaml('---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n'),
  ).toHaveLength(2)
})

it('says where a mistake is, and what is no object', () => {
  expect(() => fromYaml('a: [1')).toThrow(/line 1/)
  expect(() => fromYaml('just: text')).toThrow(/apiVersion/)
})
