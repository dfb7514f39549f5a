import { expect, test } from 'vitest'

import { hrefOf, paths } from './paths'

test('addresses are those that the router would give', () => {
  expect(hrefOf(paths.nodes('c-1'))).toBe('/dashboard/c/c-1/nodes')
  expect(hrefOf(paths.object('c-1', 'pods', 'shop', 'web-1'))).toBe('/dashboard/c/c-1/r/pods/shop/web-1')
  expect(hrefOf(paths.object('c-1', 'clusterroles.rbac.authorization.k8s.io', undefined, 'system:node/x', 'yaml'))).toBe(
    '/dashboard/c/c-1/r/clusterroles.rbac.authorization.k8s.io/_/system%3Anode%2Fx?tab=yaml',
  )
  // Other places depend on where one is.
  expect(hrefOf({ query: { entry: '7' } })).toBeUndefined()
})
