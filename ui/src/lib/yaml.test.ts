import { expect, it } from 'vitest'

import { fromYaml, placeOf, toYaml } from './yaml'

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

const text =
  'metadata:\n  name: a\n  labels:\n    example.com/x: y\nspec:\n  containers:\n    - name: one\n    - name: two\n      image: i\n'

function marked(field: string): string {
  const { from, to } = placeOf(text, field)
  return text.slice(from, to).trim()
}

it('finds where the fields that a server names stand in a text', () => {
  expect(marked('metadata.name')).toBe('name')
  expect(placeOf(text, 'spec.containers[1].image').from).toBe(text.indexOf('image'))
  expect(marked('metadata.labels[example.com/x]')).toBe('example.com/x')
})

it('marks what is missing where it belongs, and of what is not there the whole', () => {
  expect(marked('spec.containers[0].image')).toBe('name: one')
  expect(marked('spec.template.spec')).toBe('spec')
  expect(marked('status')).toBe(text.trim())
  expect(marked('')).toBe(text.trim())
})
