import { expect, it } from 'vitest'

import type { KubernetesObject } from './objects'
import { total, usageOf } from './metrics'

it('what nodes use is read and summed', () => {
  const node = (name: string, usage?: object): KubernetesObject =>
    ({ metadata: { name }, ...(usage ? { usage } : {}) }) as unknown as KubernetesObject
  const usage = usageOf([node('a', { cpu: '250m', memory: '1Ki' }), node('b', { cpu: '500000000n', memory: '1024' }), node('c')])
  expect(usage.get('a')).toEqual({ cpu: 0.25, memory: 1024 })
  expect(usage.get('c')).toEqual({ cpu: 0, memory: 0 })
  expect(total(usage)).toEqual({ cpu: 0.75, memory: 2048 })
})
