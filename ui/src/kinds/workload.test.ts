import { describe, expect, it } from 'vitest'

import { cloneOf, firstForm, fromForm, jobOf, podSpecOf, selectorOf, type WorkloadForm } from './workload'

const form: WorkloadForm = {
  ...firstForm('deployments.apps'),
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

  it('becomes each of the other kinds with what that kind needs', () => {
    const [set] = fromForm({ ...form, kind: 'statefulsets.apps' })
    expect(set).toMatchObject({ apiVersion: 'apps/v1', kind: 'StatefulSet', spec: { serviceName: 'web', replicas: 2 } })
    const [daemon, service] = fromForm({ ...form, kind: 'daemonsets.apps' })
    expect(daemon).toMatchObject({ kind: 'DaemonSet', spec: { selector: { matchLabels: { app: 'web' } } } })
    expect(daemon?.spec).not.toHaveProperty('replicas')
    expect(selectorOf(service!)).toBe(selectorOf(daemon!))
    const jobs = fromForm({ ...form, kind: 'jobs.batch' })
    expect(jobs).toHaveLength(1)
    expect(jobs[0]).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job', spec: { completions: 2, parallelism: 2 } })
    expect(jobs[0]?.spec).not.toHaveProperty('selector')
    expect(podSpecOf(jobs[0]!)).toMatchObject({ restartPolicy: 'Never' })
  })

  it('says all that was answered', () => {
    const [made] = fromForm({
      ...form,
      command: 'serve --all',
      cpuLimit: '1',
      readyPath: '/ready',
      envConfigMap: 'settings',
      envSecret: 'keys',
      pullSecret: 'registry',
      claim: 'disk',
    })
    expect(podSpecOf(made!)).toMatchObject({
      imagePullSecrets: [{ name: 'registry' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'disk' } }],
      containers: [
        {
          command: ['sh', '-c', 'serve --all'],
          envFrom: [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'keys' } }],
          resources: { requests: { memory: '64Mi' }, limits: { cpu: '1' } },
          readinessProbe: { httpGet: { path: '/ready', port: 80 } },
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
    })
    // Without a port there is nothing to ask whether it is ready.
    expect(podSpecOf(fromForm({ ...form, port: 0, readyPath: '/ready' })[0]!)?.containers?.[0]).not.toHaveProperty(
      'readinessProbe',
    )
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

it('a job by hand is the one the schedule would make, owned and marked', () => {
  const cronJob = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'n'.repeat(52), namespace: 'shop', uid: 'u' },
    spec: { jobTemplate: { metadata: { labels: { a: 'b' }, annotations: { c: 'd' } }, spec: { backoffLimit: 2 } } },
  }
  const job = jobOf(cronJob, new Date('2026-01-02T03:04:05Z'))
  expect(job).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job', spec: { backoffLimit: 2 } })
  expect(job.metadata.name).toMatch(/^n{40}-[a-z0-9]+$/)
  expect(job.metadata.name.length).toBeLessThan(54)
  expect(job.metadata.annotations).toEqual({ c: 'd', 'cronjob.kubernetes.io/instantiate': 'manual' })
  expect(job.metadata.ownerReferences).toMatchObject([{ kind: 'CronJob', uid: 'u', controller: true }])
  expect(job.metadata).toMatchObject({ namespace: 'shop', labels: { a: 'b' } })
})
