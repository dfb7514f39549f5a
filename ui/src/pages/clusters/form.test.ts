import { expect, test } from 'vitest'

import type { Cluster } from '@/api/norman'

import { bodyOf, EMPTY, formOf } from './form'

const cluster: Cluster = {
  id: 'c-1',
  type: 'cluster',
  links: {},
  name: 'east',
  description: 'by the sea',
  labels: { stage: 'test', 'provider.cattle.io': 'k3s', 'cattle.io/creator': 'norman', 'field.cattle.io/x': 'y' },
  agentEnvVars: [{ name: 'HTTPS_PROXY', value: 'http://p:3128' }],
}

test('what is edited goes back as it was, but for what was changed', () => {
  const form = formOf(cluster)
  expect(form).toEqual({
    name: 'east',
    description: 'by the sea',
    labels: 'stage=test\nprovider.cattle.io=k3s',
    environment: 'HTTPS_PROXY=http://p:3128',
    image: '',
  })
  expect(bodyOf(form, cluster)).toEqual({
    name: 'east',
    description: 'by the sea',
    labels: cluster.labels,
    agentEnvVars: cluster.agentEnvVars,
    agentImageOverride: '',
  })
  expect(bodyOf({ ...form, labels: '', environment: '' }, cluster)).toMatchObject({
    labels: { 'cattle.io/creator': 'norman', 'field.cattle.io/x': 'y' },
    agentEnvVars: [],
  })
})

test('of a new cluster only what was said is sent', () => {
  expect(bodyOf({ ...EMPTY, name: ' west ' })).toEqual({ name: 'west' })
  expect(bodyOf({ ...EMPTY, name: 'west', labels: 'a=b', image: 'mine:1' })).toEqual({
    name: 'west',
    labels: { a: 'b' },
    agentImageOverride: 'mine:1',
  })
  expect(() => bodyOf({ ...EMPTY, name: 'west', labels: 'nonsense' })).toThrow('nonsense')
})
