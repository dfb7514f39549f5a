import { expect, it } from 'vitest'

import { moment } from '@/lib/moment'

import { factsOf, routesOf, stateOf } from './summary'

const object = (kind: string, more: object) => ({ apiVersion: 'v1', kind, metadata: { name: 'a' }, ...more })

it('the state is what people would say first', () => {
  expect(
    stateOf(
      object('Pod', {
        status: { phase: 'Running', containerStatuses: [{ name: 'c', state: { waiting: { reason: 'CrashLoopBackOff' } } }] },
      }),
    ),
  ).toBe('CrashLoopBackOff')
  expect(stateOf(object('Pod', { status: { phase: 'Running' } }))).toBe('Running')
  expect(stateOf(object('Deployment', { spec: { replicas: 2 }, status: { replicas: 2, readyReplicas: 2 } }))).toBe('Ready')
  expect(stateOf(object('Deployment', { spec: { replicas: 2, paused: true }, status: { replicas: 2 } }))).toBe('Paused')
  expect(stateOf(object('Widget', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }))).toBe('Not Ready')
  expect(stateOf(object('ConfigMap', {}))).toBe('')
})

it('facts are only those that are there', () => {
  expect(factsOf(object('PersistentVolumeClaim', { spec: { accessModes: ['A', 'B'], storageClassName: '' } }))).toEqual([
    { label: 'Access modes', value: 'A, B' },
  ])
})

it('points in time and bytes are written as everywhere', () => {
  const values = (kind: string, more: object): string[] => factsOf(object(kind, more)).map((fact) => fact.value)
  expect(values('PersistentVolume', { spec: { capacity: { storage: '1536Mi' } } })).toEqual(['1.5 GiB'])
  expect(values('Job', { status: { startTime: '2026-01-02T03:04:05Z' } })).toEqual([moment('2026-01-02T03:04:05Z')])
})

it('an autoscaler tells its aim and where it is', () => {
  const metric = (value: object): object => ({ type: 'Resource', resource: { name: 'cpu', ...value } })
  const spec = { maxReplicas: 4, metrics: [metric({ target: { averageUtilization: 80 } })] }
  const told = (status: object): unknown => factsOf(object('HorizontalPodAutoscaler', { spec, status })).at(-1)
  expect(told({})).toEqual({ label: 'Use of cpu', value: 'aims at 80 %' })
  expect(told({ currentMetrics: [metric({ current: { averageUtilization: 35 } })] })).toEqual({
    label: 'Use of cpu',
    value: '35 %, aims at 80 %',
  })
})

it('facts that name an object say which', () => {
  const names = (of: ReturnType<typeof object> & { metadata: { namespace?: string } }): unknown[] =>
    factsOf(of).flatMap((fact) => fact.names ?? [])
  const metadata = { name: 'a', namespace: 'n' }
  expect(names({ ...object('Pod', { spec: { nodeName: 'n1', serviceAccountName: 'robot' } }), metadata })).toEqual([
    { resource: 'nodes' },
    { resource: 'serviceaccounts', namespace: 'n' },
  ])
  expect(names(object('PersistentVolume', { spec: { claimRef: { name: 'c', namespace: 'shop' } } }))).toEqual([
    { resource: 'persistentvolumeclaims', namespace: 'shop' },
  ])
  const scaled = (kind: string): object => ({ spec: { scaleTargetRef: { kind, name: 'web' } } })
  expect(names({ ...object('HorizontalPodAutoscaler', scaled('Deployment')), metadata })).toEqual([
    { resource: 'deployments.apps', namespace: 'n' },
  ])
  expect(names({ ...object('HorizontalPodAutoscaler', scaled('Rollout')), metadata })).toEqual([])
})

it('routes of services and ingresses are told', () => {
  expect(routesOf(object('Service', { spec: { ports: [{ port: 80, targetPort: 'http', nodePort: 30080 }] } }))).toEqual([
    { from: '80/TCP node port 30080', to: 'http' },
  ])
  const paths = [{ path: '/a', backend: { service: { name: 's', port: { number: 8 } } } }]
  expect(routesOf(object('Ingress', { spec: { rules: [{ host: 'h', http: { paths } }] } }))).toEqual([
    { from: 'h/a', to: 's:8', service: 's' },
  ])
})

it('a node says whether it is ready and takes pods', () => {
  const node = (status: string, spec: object) =>
    object('Node', { spec, status: { phase: 'Running', conditions: [{ type: 'Ready', status }] } })
  expect(stateOf(node('True', {}))).toBe('Ready')
  expect(stateOf(node('True', { unschedulable: true }))).toBe('Ready,SchedulingDisabled')
  expect(stateOf(node('Unknown', {}))).toBe('NotReady')
})

it('a node tells where it is and which pods it keeps away', () => {
  const addresses = [
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'Hostname', address: 'n1' },
    { type: 'ExternalIP', address: '10.0.0.1' },
  ]
  const taints = [
    { key: 'gpu', value: 'yes', effect: 'NoSchedule' },
    { key: 'spot', effect: 'NoExecute' },
  ]
  expect(factsOf(object('Node', { spec: { taints }, status: { addresses } }))).toEqual([
    { label: 'Addresses', value: '10.0.0.1, n1' },
    { label: 'Taints', value: 'gpu=yes:NoSchedule, spot:NoExecute' },
  ])
})

it('a custom kind shows its plain values, what is wanted first', () => {
  const widget = {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'one' },
    spec: {
      colour: 'red',
      size: 3,
      on: true,
      modes: ['fast', 'slow'],
      box: { depth: 2 },
      parts: [{ name: 'a' }],
      text: 'x'.repeat(999),
    },
    status: { phase: 'Up', conditions: [], observedGeneration: 1 },
  }
  expect(factsOf(widget).map(({ label, value }) => `${label}=${value}`)).toEqual([
    'colour=red',
    'size=3',
    'on=true',
    'modes=fast, slow',
    'box.depth=2',
    'status.phase=Up',
  ])
})
