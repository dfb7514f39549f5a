import { expect, test } from 'vitest'

import type { KubernetesObject } from '@/data/kubernetes/objects'

import { fatesOf, matches, refusesDrain, type DrainOptions } from './drain'

const CAREFUL: DrainOptions = { deleteLocalData: false, force: false, ignoreDaemonSets: true }

function pod(
  name: string,
  owner: string,
  more: { labels?: Record<string, string>; spec?: object; phase?: string } = {},
): KubernetesObject {
  const ownerReferences = owner === '' ? [] : [{ apiVersion: 'v1', kind: owner, name: 'o', uid: 'u', controller: true }]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'n', labels: more.labels ?? {}, ownerReferences },
    spec: { nodeName: 'node-1', ...more.spec },
    status: { phase: more.phase ?? 'Running' },
  }
}

function budget(name: string, selector: object, disruptionsAllowed: number, namespace = 'n'): KubernetesObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace },
    spec: { selector },
    status: { disruptionsAllowed },
  }
}

const outcomes = (pods: KubernetesObject[], budgets: KubernetesObject[], options = CAREFUL): Record<string, string> =>
  Object.fromEntries(fatesOf(pods, budgets, options).map((fate) => [fate.name, fate.outcome]))

test('pods that would be lost refuse until somebody says that they may be', () => {
  const local = { volumes: [{ emptyDir: {} }] }
  const mirror = pod('mirror', '')
  mirror.metadata.annotations = { 'kubernetes.io/config.mirror': 'x' }
  const leaving = pod('leaving', '')
  leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  const pods = [
    pod('kept', 'ReplicaSet'),
    pod('daemon', 'DaemonSet'),
    pod('alone', ''),
    pod('local', 'ReplicaSet', { spec: local }),
    pod('done', '', { phase: 'Succeeded', spec: local }),
    mirror,
    leaving,
  ]
  expect(outcomes(pods, [])).toEqual({
    kept: 'goes',
    daemon: 'stays',
    alone: 'alone',
    local: 'local',
    done: 'goes',
    mirror: 'stays',
    leaving: 'stays',
  })
  expect(outcomes(pods, [], { deleteLocalData: true, force: true, ignoreDaemonSets: false })).toMatchObject({
    daemon: 'daemon',
    alone: 'goes',
    local: 'goes',
  })
  // What needs a decision is read first.
  expect(fatesOf(pods, [], CAREFUL).map((fate) => refusesDrain(fate.outcome))).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ])
})

test('a disruption budget holds the pods it has no more room for', () => {
  const labels = { app: 'web' }
  const pods = ['a', 'b', 'c'].map((name) => pod(name, 'ReplicaSet', { labels }))
  const selector = { matchLabels: labels }
  expect(outcomes(pods, [budget('web', selector, 2)])).toEqual({ a: 'goes', b: 'goes', c: 'held' })
  expect(fatesOf(pods, [budget('web', selector, 0)], CAREFUL)[0]).toMatchObject({ outcome: 'held', budget: 'web' })
  expect(outcomes(pods, [budget('web', selector, 0, 'elsewhere')])).toEqual({ a: 'goes', b: 'goes', c: 'goes' })
})

test('selectors fit labels as the API says', () => {
  const check = (selector: object, labels: Record<string, string>, expected: boolean): void =>
    expect(matches(selector, labels), JSON.stringify({ selector, labels })).toBe(expected)
  check({}, { a: '1' }, true)
  check({ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true)
  check({ matchLabels: { a: '1' } }, { a: '2' }, false)
  check({ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true)
  check({ matchExpressions: [{ key: 'a', operator: 'In', values: ['1'] }] }, {}, false)
  check({ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true)
  check({ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, {}, false)
  check({ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, {}, true)
})
