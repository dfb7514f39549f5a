import { describe, expect, it } from 'vitest'

import { cloneOf, fromForm, podSpecOf, selectorOf, templateOf, type DeploymentForm } from './workload'

const form: DeploymentForm = {
  name: 'web',
  namespace: 'shop',
  image: ' nginx:1 ',
  replicas: 2,
  port: 80,
  service: true,
  env: [
    { name: 'A', value: '1' },
    { name: ' ', value: 'x' },
  ],
  cpu: '',
  memory: '64Mi',
}

describe('a form', () => {
  it('becomes a Deployment and a Service that finds its pods', () => {
    const [deployment, service] = fromForm(form)
    expect(podSpecOf(deployment!)?.containers).toEqual([
      {
        name: 'web',
        image: 'nginx:1',
        ports: [{ containerPort: 80 }],
        env: [{ name: 'A', value: '1' }],
        resources: { requests: { memory: '64Mi' } },
      },
    ])
    expect(selectorOf(service!)).toBe(selectorOf(deployment!))
  })

  it('makes no Service without a port', () => {
    expect(fromForm({ ...form, port: 0 })).toHaveLength(1)
  })
})

it('selectors of all forms are written as the API wants them', () => {
  const spec = {
    selector: {
      matchLabels: { a: '1' },
      matchExpressions: [
        { key: 'b', operator: 'In', values: ['x', 'y'] },
        { key: 'c', operator: 'DoesNotExist' },
      ],
    },
  }
  expect(selectorOf({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'w' }, spec })).toBe('a=1,b in (x,y),!c')
  expect(selectorOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'w' } })).toBeUndefined()
})

it('a revision gives its template without the hash', () => {
  const template = { metadata: { labels: { app: 'web', 'pod-template-hash': 'abc' } }, spec: {} }
  const set = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'w' }, spec: { template } }
  expect(templateOf(set)).toEqual({ metadata: { labels: { app: 'web' } }, spec: {} })
  expect(template.metadata.labels['pod-template-hash']).toBe('abc')
})

it('a copy carries nothing of the one object', () => {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'a',
      namespace: 'n',
      uid: 'u',
      resourceVersion: '4',
      annotations: { keep: 'me', 'deployment.kubernetes.io/revision': '3' },
    },
    spec: { clusterIP: '10.0.0.1', ports: [] },
    status: {},
  }
  expect(cloneOf(object)).toEqual({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a-copy', namespace: 'n', annotations: { keep: 'me' } },
    spec: { ports: [] },
  })
})
