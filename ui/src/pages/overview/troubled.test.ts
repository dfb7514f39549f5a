import { expect, test } from 'vitest'

import type { ApiResource } from '@/data/kubernetes/resources'
import type { Row } from '@/data/rows'

import { inOrder, troubledOf } from './troubled'

const resource = { id: 'deployments.apps', kind: 'Deployment' } as ApiResource

function row(name: string, state: object | undefined): Row {
  const metadata = { name, namespace: 'shop', state } as Row['metadata']
  return { id: `shop/${name}`, name, namespace: 'shop', metadata, cells: [], read: 0 }
}

test('what is wrong stands before what is on its way, with what the server says of it', () => {
  const all = [
    troubledOf(row('slow', { name: 'updating', error: false, message: 'Available: 1/2' }), resource),
    troubledOf(row('stuck', { name: 'failed', error: true, message: 'too slow' }), resource),
    troubledOf(row('odd', undefined), resource),
  ]
  expect(inOrder(all).map(({ name, state, isError, message }) => [name, state, isError, message])).toEqual([
    ['stuck', 'failed', true, 'too slow'],
    ['slow', 'updating', false, 'Available: 1/2'],
    ['odd', '', false, ''],
  ])
  expect(all[0]?.id).toBe('Deployment shop/slow')
})
