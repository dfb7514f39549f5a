import { expect, test } from 'vitest'

import { contextAt, fieldAt, fieldsAt, ITEM, kindAt, problemsOf, valuesAt, type Definitions } from './schema'

const all: Definitions = {
  definitionType: 'io.k8s.api.apps.v1.Deployment',
  definitions: {
    'io.k8s.api.apps.v1.Deployment': {
      resourceFields: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'io.k8s.Meta' },
        spec: { type: 'io.k8s.Spec', description: 'what is wanted' },
        status: { type: 'map', subtype: 'string' },
      },
    },
    'io.k8s.Meta': { resourceFields: { name: { type: 'string' }, labels: { type: 'map', subtype: 'string' } } },
    'io.k8s.Spec': {
      resourceFields: {
        replicas: { type: 'int' },
        paused: { type: 'boolean' },
        limit: { type: 'io.k8s.Quantity' },
        containers: { type: 'array', subtype: 'io.k8s.Container', required: true },
        custom: { type: 'com.example.Open' },
      },
    },
    'io.k8s.Quantity': { resourceFields: {} },
    'io.k8s.Container': {
      resourceFields: {
        name: { type: 'string', required: true },
        args: { type: 'array', subtype: 'string' },
        pull: { type: 'string', enum: ['Always', 'Never'] },
        modes: { type: 'array', subtype: 'string', enum: ['Fast', 'Slow'] },
        ports: { type: 'array', subtype: 'io.k8s.Port' },
      },
    },
    'io.k8s.Port': { resourceFields: { containerPort: { type: 'int' }, protocol: { type: 'string' } } },
    'com.example.Open': { resourceFields: { value: { type: 'string' } } },
  },
}
const messages = {
  syntax: (message: string) => message,
  unknown: (field: string) => `unknown ${field}`,
  missing: (field: string) => `missing ${field}`,
  expected: (type: string) => `expected ${type}`,
  oneOf: (values: string[]) => `one of ${values.join(' ')}`,
}
const HEAD = 'apiVersion: apps/v1\nkind: Deployment\n'

/** The context at the sign `|` of a text. */
const at = (text: string): ReturnType<typeof contextAt> => contextAt(text.replace('|', ''), text.indexOf('|'))

test('the place of the cursor follows from the indentation', () => {
  const check = (text: string, path: string[], beside: string[] = []): void => {
    const found = at(text)
    expect(found?.path, text).toEqual(path)
    expect(found?.beside.toSorted(), text).toEqual(beside.toSorted())
  }
  check(`${HEAD}sp|`, [], ['apiVersion', 'kind'])
  check(`${HEAD}spec:\n  re|`, ['spec'])
  check(`${HEAD}metadata:\n  labels:\n    a: b\nspec:\n  replicas: 1\n  |`, ['spec'], ['replicas'])
  check('spec:\n  containers:\n    - name: a\n      po|', ['spec', 'containers', ITEM], ['name'])
  check('spec:\n  containers:\n  - name: a\n    ports:\n    - con|', ['spec', 'containers', ITEM, 'ports', ITEM])
  check('spec:\n  containers:\n    - name: a\n      args:\n        - x\n    - na|', ['spec', 'containers', ITEM])
  check('spec:\n  containers:\n    - name: a\n  pa|', ['spec'], ['containers'])
  check('a: 1\n---\nspec:\n  # a note\n\n  re|', ['spec'])
  expect(at('spec:\n  paused: t|')).toMatchObject({ path: ['spec'], key: 'paused' })
  expect(at('spec:\n  text: two words|')).toBeUndefined()
  expect(at('spec: inline\n  re|')).toBeUndefined()
})

test('fields are found along a path', () => {
  expect(Object.keys(fieldsAt(all, ['spec', 'containers', ITEM]))).toEqual(['name', 'args', 'pull', 'modes', 'ports'])
  expect(Object.keys(fieldsAt(all, ['spec', 'containers', ITEM, 'ports', ITEM]))).toEqual(['containerPort', 'protocol'])
  expect(fieldsAt(all, ['spec', 'nosuch'])).toEqual({})
  expect(fieldsAt(all, ['metadata', 'labels'])).toEqual({})
  expect(fieldAt(all, ['spec', 'paused'])?.type).toBe('boolean')
})

test('the kind is that of the object at the cursor', () => {
  const text = 'apiVersion: v1\nkind: Pod\n---\napiVersion: "apps/v1"\nkind: Deployment\n'
  expect(kindAt(text, 3)).toEqual({ apiVersion: 'v1', kind: 'Pod' })
  expect(kindAt(text, text.length)).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment' })
  expect(kindAt('kind: Pod', 2)).toBeUndefined()
})

test('what is wrong is told where it stands', () => {
  const told = (text: string): string[] =>
    problemsOf(text, ({ kind }) => (kind === 'Deployment' ? all : undefined), messages).map(
      ({ from, to, message }) => `${text.slice(from, to).trim()}: ${message}`,
    )
  const good = `${HEAD}metadata:\n  labels: {a: b}\nspec:\n  limit: 5\n  replicas: null\n  custom: {value: 5}\n  containers:\n    - name: a\nstatus:\n  x: {y: 1}\n`
  expect(told(good)).toEqual([])
  expect(told(`${HEAD}spec:\n  replica: 1\n  containers: []\n`)).toEqual(['replica: unknown replica'])
  expect(told(`${HEAD}spec:\n  replicas: two\n  paused: 1\n  containers: {}\n`)).toEqual([
    'two: expected int',
    '1: expected boolean',
    '{}: expected array',
  ])
  expect(told(`${HEAD}metadata:\n  labels:\n    a: 1\n`)).toEqual(['1: expected string'])
  expect(told(`${HEAD}spec:\n  containers:\n    - args: [1]\n`)).toEqual(['1: expected string', 'args: missing name'])
  expect(told(`${HEAD}spec: {}\n`)).toEqual(['{}: missing containers'])
  expect(told('apiVersion: v1\nkind: Other\nwhatever: 1\n')).toEqual([])
  expect(told('a: [1\n')).toHaveLength(1)
})

test('what a field may be is offered, and what it may not be is told', () => {
  const values = (text: string): string[] => valuesAt(all, at(text)!)
  expect(values('spec:\n  containers:\n    - name: a\n      pull: A|')).toEqual(['Always', 'Never'])
  expect(values('spec:\n  containers:\n    - name: a\n      modes:\n        - F|')).toEqual(['Fast', 'Slow'])
  expect(values('spec:\n  paused: t|')).toEqual(['true', 'false'])
  expect(values('spec:\n  containers:\n    - name: a|')).toEqual([])
  expect(values('spec:\n  containers:\n    - na|')).toEqual([])
  const text = `${HEAD}spec:\n  containers:\n    - name: a\n      pull: Often\n      modes: [Fast, Lazy]\n`
  const found = problemsOf(text, () => all, messages)
  expect(found.map(({ from, to, message }) => [text.slice(from, to), message])).toEqual([
    ['Often', 'one of Always Never'],
    ['Lazy', 'one of Fast Slow'],
  ])
})
