import { expect, it } from 'vitest'

import type { KubernetesObject } from './objects'
import { revisionsOf, templateOf } from './revisions'

const owner = { apiVersion: 'apps/v1', kind: 'x', name: 'w', uid: 'u' }
const of = (image: string): object => ({ spec: { containers: [{ image }] } })

function workload(kind: string, more: object = {}): KubernetesObject {
  return { apiVersion: 'apps/v1', kind, metadata: { name: 'w', namespace: 'n', uid: 'u' }, ...more }
}

it('a ReplicaSet gives its template without the hash', () => {
  const template = { metadata: { labels: { app: 'web', 'pod-template-hash': 'abc' } }, spec: {} }
  const set = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: 'w' }, spec: { template } }
  expect(templateOf(set)).toEqual({ metadata: { labels: { app: 'web' } }, spec: {} })
  expect(template.metadata.labels['pod-template-hash']).toBe('abc')
})

it('the revisions of a Deployment are its own ReplicaSets, the newest first', () => {
  // Items of lists carry no kind.
  const set = (name: string, revision: string, uid = 'u'): KubernetesObject =>
    ({
      metadata: { name, annotations: { 'deployment.kubernetes.io/revision': revision }, ownerReferences: [{ ...owner, uid }] },
      spec: { template: of(`i:${revision}`) },
    }) as unknown as KubernetesObject
  const deployment = workload('Deployment')
  deployment.metadata.annotations = { 'deployment.kubernetes.io/revision': '10' }
  const found = revisionsOf(deployment, [set('a', '9'), set('b', '10'), set('c', '2'), set('d', '11', 'other')])
  expect(found.map((one) => [one.number, one.name, one.isCurrent])).toEqual([
    [10, 'b', true],
    [9, 'a', false],
    [2, 'c', false],
  ])
  expect(found[1]?.template).toEqual(of('i:9'))
})

it('those of StatefulSets and DaemonSets are kept as patches', () => {
  const revision = (name: string, number: number): KubernetesObject =>
    ({
      metadata: { name, ownerReferences: [owner] },
      revision: number,
      data: { spec: { template: { $patch: 'replace', ...of(`i:${number}`) } } },
    }) as unknown as KubernetesObject
  const kept = [revision('w-1', 1), revision('w-2', 2)]
  const [newest, older] = revisionsOf(workload('DaemonSet'), kept)
  expect(newest).toMatchObject({ name: 'w-2', isCurrent: true })
  expect(older).toMatchObject({ name: 'w-1', isCurrent: false, template: of('i:1') })
  expect(older?.template).not.toHaveProperty('$patch')
  const back = revisionsOf(workload('StatefulSet', { status: { updateRevision: 'w-1' } }), kept)
  expect(back.map((one) => one.isCurrent)).toEqual([false, true])
})
