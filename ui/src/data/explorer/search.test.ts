import { expect, test } from 'vitest'

import { hitOf, type Found } from './search'

test('what is found is shown where it is', () => {
  const base = { id: 'shop/web', name: 'web', namespace: 'shop', cluster: 'c-1' }
  const check = (resourceType: string, self: string, expected: string | undefined): void => {
    const to = hitOf({ ...base, resourceType, links: { self } } as Found)?.to
    expect(typeof to === 'string' ? to : (to as { path?: string } | undefined)?.path).toBe(expected)
  }
  check('pod', 'https://h/k8s/clusters/c-1/v1/pods/shop/web', '/c/c-1/r/pods/shop/web')
  check(
    'networking.k8s.io.ingress',
    'https://h/k8s/clusters/c-1/v1/networking.k8s.io.ingresses/shop/web',
    '/c/c-1/r/ingresses.networking.k8s.io/shop/web',
  )
  check('schema', 'https://h/v1/schemas/pod', undefined)
  check('management.cattle.io.user', 'https://h/v1/management.cattle.io.users/u', undefined)
  const cluster = { ...base, resourceType: 'management.cattle.io.cluster', id: 'c-9', displayName: 'east', links: {} }
  expect(hitOf(cluster)).toMatchObject({ name: 'east', to: '/c/c-9' })
})
