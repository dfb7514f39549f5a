import { expect, test } from 'vitest'

import { idFilter, listPath, quoted, rowOf, textFilters, typeOf } from './query'

const deployments = {
  id: 'deployments.apps',
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
  verbs: [],
  shortNames: [],
  subresources: [],
}

test('a page of a list has a path', () => {
  const path = listPath(
    { cluster: 'c-1', resource: deployments, namespaces: ['a', 'b'], labelSelector: 'x in (y)' },
    { filters: ['metadata.name~"web"'], sort: 'natural(metadata.name)' },
    { number: 3, size: 100 },
  )
  const [place, query] = path.split('?')
  expect(place).toBe('/k8s/clusters/c-1/v1/apps.deployments')
  const pairs = new URLSearchParams(query)
  expect(pairs.get('page')).toBe('3')
  expect(pairs.get('projectsornamespaces')).toBe('a,b')
  expect(pairs.get('labelSelector')).toBe('x in (y)')
  expect(pairs.getAll('filter')).toEqual(['metadata.name~"web"'])
  expect(pairs.getAll('include')).toContain('metadata.fields')
  expect(typeOf(deployments)).toBe('apps.deployment')
})

test('what a person types cannot leave its quotes', () => {
  expect(quoted('a,b)')).toBe('"a,b)"')
  expect(quoted('a"b')).toBe(`'a"b'`)
  expect(quoted(`a"b'c`)).toBeUndefined()
  expect(textFilters(`"'`, ['metadata.name'])).toEqual([])
  expect(textFilters('a b', [])).toEqual([])
  expect(idFilter(['ns/a', 'b'])).toBe('id in ("ns/a","b")')
})

test('objects become rows', () => {
  const row = rowOf({ id: 'ns/a', metadata: { name: 'a', namespace: 'ns', fields: ['a', 1] } }, 7)
  expect(row).toEqual({
    id: 'ns/a',
    name: 'a',
    namespace: 'ns',
    metadata: { name: 'a', namespace: 'ns' },
    cells: ['a', 1],
    read: 7,
  })
  expect(rowOf({ id: 'b', metadata: { name: 'b', fields: null } }, 7).cells).toEqual([])
})
