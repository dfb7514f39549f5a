import { expect, test } from 'vitest'

import { uses, type UserObject } from './uses'

const menu = { type: 'configmap', namespace: 'shop', name: 'menu' }

function workload(toType: string, toId: string, more: object = {}): UserObject {
  return { metadata: { name: 'w', namespace: 'shop', relationships: [{ rel: 'uses', toType, toId }], ...more } }
}

test('workloads use what the server says their pods need', () => {
  expect(uses(workload('configmap', 'shop/menu'), 'deployments.apps', menu)).toBe(true)
  expect(uses(workload('secret', 'shop/menu'), 'deployments.apps', menu)).toBe(false)
  expect(uses(workload('configmap', 'other/menu'), 'deployments.apps', menu)).toBe(false)
  expect(uses({ metadata: { name: 'w', relationships: null } }, 'pods', menu)).toBe(false)
  const selects = { relationships: [{ rel: 'selects', toType: 'configmap', toId: 'shop/menu' }] }
  expect(uses(workload('', '', selects), 'pods', menu)).toBe(false)
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true }]
  expect(uses(workload('configmap', 'shop/menu', { ownerReferences }), 'pods', menu)).toBe(false)
})

test('ingresses use services and certificates, claims use storage classes', () => {
  const ingress: UserObject = {
    metadata: { name: 'i' },
    spec: {
      tls: [{ secretName: 'cert' }],
      defaultBackend: { service: { name: 'fallback' } },
      rules: [{}, { http: { paths: [{ backend: { service: { name: 'web' } } }] } }],
    },
  }
  const check = (type: string, name: string): boolean =>
    uses(ingress, 'ingresses.networking.k8s.io', { type, namespace: 'shop', name })
  expect([check('service', 'web'), check('service', 'fallback'), check('secret', 'cert')]).toEqual([true, true, true])
  expect([check('service', 'cert'), check('secret', 'web')]).toEqual([false, false])
  const claim: UserObject = { metadata: { name: 'c' }, spec: { storageClassName: 'fast' } }
  expect(uses(claim, 'persistentvolumeclaims', { type: 'storage.k8s.io.storageclass', namespace: '', name: 'fast' })).toBe(true)
})
